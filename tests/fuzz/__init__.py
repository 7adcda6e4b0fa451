"""Fuzzing of what strangers can send: data sets, PDUs, profiles, configurations, requests, answers."""
