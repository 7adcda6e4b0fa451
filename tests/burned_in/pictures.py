"""Pictures for the documentation: an image before, with the boxes that were found, and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gateway.pixels.text import TextFinder
from gateway.pixels.text.views import pictures
from gateway.profile.pixel_program import FindText
from gateway.profile.program import Origin
from tests.burned_in.cases import Case, illustration


def write_pictures(finder: TextFinder, folder: Path) -> None:
    """Write burned-in-text-before.png, -boxes.png and -after.png into ``folder``."""
    case: Case = illustration()
    rule = FindText(origin=Origin("pictures", "", "", 0))
    boxes = finder.find(case, case.description, rule, case.words).boxes
    before = np.ascontiguousarray(next(iter(pictures(case, case.description))))
    after = before.copy()
    shown = Image.fromarray(before).convert("RGB")
    draw = ImageDraw.Draw(shown)
    for box in boxes:
        after[box.y : box.bottom, box.x : box.right] = 0
        draw.rectangle((box.x, box.y, box.right - 1, box.bottom - 1), outline=(255, 200, 0), width=2)
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in (("before", Image.fromarray(before)), ("boxes", shown), ("after", Image.fromarray(after))):
        # Reduced, in few colours: the files stay small.
        small = image.convert("RGB").resize((image.width * 2 // 3, image.height * 2 // 3)).quantize(32)
        small.save(folder / f"burned-in-text-{name}.png", optimize=True)
