"""Delivery to XNAT over REST: sent as one study, confirmed instance by instance from XNAT's own listings."""

from gateway.deliver.xnat.destination import XnatDestination
from gateway.deliver.xnat.labels import Labels, LabelTemplates, xnat_label
from gateway.deliver.xnat.options import XnatOptions

__all__ = ["LabelTemplates", "Labels", "XnatDestination", "XnatOptions", "xnat_label"]
