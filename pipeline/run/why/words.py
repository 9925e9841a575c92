"""What was looked at, as an answer: which observation was taken, and why each of the others was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import xarray as xr

from pipeline.composite import BRIGHT, DARK, EVIDENCE, KEPT, RESTORED
from pipeline.run.common.method import method_of
from pipeline.run.why.answer import Pixel, Seen, Verdict, Why
from pipeline.run.why.asked import Asked
from pipeline.run.why.looked import Looked, Pixels
from pipeline.run.why.not_used import not_used
from pipeline.run.why.pixels import composed_pixel, stored_pixel
from pipeline.types import LEGEND, UNFIT, CellReceipt, Scene
from pipeline.wording import counted

LABELS = {int(entry.code): entry.label for entry in LEGEND}
ASIDE = {BRIGHT: "brighter in blue", DARK: "darker in nir and swir16"}
ENDS = {"first": "not the earliest", "latest": "not the latest"}


def told(asked: Asked, looked: Looked) -> Why:
    """Return the answer."""
    stored, again = stored_pixel(asked), None
    if looked.failure is None:
        again = composed_pixel(asked, looked)
    differs = [] if again is None else [name for name in stored if stored[name] != again[name]]
    words = _Words(asked, looked, stored)
    return Why(
        lonlat=asked.lonlat,
        pixel=asked.at,
        tile=asked.tile.name,
        composite=asked.settings.name,
        method=asked.settings.method,
        period=asked.period,
        stored=stored,
        made_again=again,
        agrees=None if again is None else not differs,
        as_made=looked.as_made,
        seen=tuple(words.seen(scene, receipt) for scene, receipt in words.cells),
        dropped=tuple(not_used(asked, looked)),
        notes=tuple(_notes(asked, looked, differs)),
    )


# -- its observations --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words:
    asked: Asked
    looked: Looked
    stored: Pixel

    @cached_property
    def cells(self) -> list[tuple[Scene, CellReceipt]]:
        """Return scenes by time."""
        return sorted(self.looked.cells.read, key=lambda each: (each[0].time, each[0].sensor))

    def seen(self, scene: Scene, receipt: CellReceipt) -> Seen:
        """Return one observation."""
        values = self._values(scene)
        item, others = self._items(scene)
        verdict, why = self._verdict(scene, item, values)
        if others and item is not None:
            why += f"; {', '.join(others)} of the same pass: behind {item} in the mosaic"
        return Seen(
            time=receipt.time.astimezone(UTC),
            sensor=scene.sensor,
            platform=scene.platform,
            item=item,
            others=others,
            mask=LABELS[self.looked.codes[scene]],
            usable=self.looked.usable[scene],
            values=values,
            score=self._score(scene),
            off=self._off(scene, values),
            verdict=verdict,
            why=why,
        )

    @property
    def _pixels(self) -> Pixels | None:
        return self.looked.pixels

    @cached_property
    def _at(self) -> dict[tuple[str, datetime], tuple[xr.Dataset, int, int]]:
        """Scene -> its cube, its place on that cube's time, and what screening made of it."""
        found: dict[tuple[str, datetime], tuple[xr.Dataset, int, int]] = {}
        if self._pixels is None:
            return found
        seen, screened = self._pixels.seen, self._pixels.screened
        parts = [(seen.scenes, seen.cube, "state")]
        if seen.past is not None:
            parts.append((seen.around, seen.past[0], "history_state"))
        for scenes, cube, name in parts:
            for at, scene in enumerate(scenes):
                state = KEPT if screened is None else int(screened[name][at, 0, 0])
                key = scene.sensor, scene.time
                # What is not composed stands in both, and is judged in the second: in the first it is not usable, 0.
                first = found.get(key, (cube, at, 0))
                found[key] = *first[:2], max(first[2], state)
        return found

    def _values(self, scene: Scene) -> dict[str, float | None] | None:
        if (scene.sensor, scene.time) not in self._at:
            return None
        cube, at, _ = self._at[scene.sensor, scene.time]
        roles = (
            self.asked.settings.bands
            if self._is_inside(scene)
            else [b for b in self.asked.settings.bands if b in EVIDENCE]
        )
        found = {role: float(cube[role][at, 0, 0]) for role in roles}
        return {role: each if np.isfinite(each) else None for role, each in found.items()}

    def _is_inside(self, scene: Scene) -> bool:
        return scene.time in self.asked.period

    def _items(self, scene: Scene) -> tuple[str | None, tuple[str, ...]]:
        """Return the item that the pixel comes from, and the others of the pass that cover it."""
        name = self.looked.composing.task.item_id
        covering = [name(each) for each in self.looked.covering[scene]]
        item = covering[0] if len(covering) == 1 else None
        if (scene.sensor, scene.time) in self._at:
            cube, at, _ = self._at[scene.sensor, scene.time]
            source = int(cube["source"][at, 0, 0])
            item = name(source) if source >= 0 else item
        return item, tuple(each for each in covering if each != item)

    def _score(self, scene: Scene) -> float | None:
        if self._pixels is None:
            return None
        scores = {(s.sensor, s.time): each for s, each in self._pixels.alone.items()}
        return scores.get((scene.sensor, scene.time))

    def _off(self, scene: Scene, values: Mapping[str, float | None] | None) -> float | None:
        if values is None or self._pixels is None or not self._is_inside(scene):
            return None
        composed = self._pixels.composed
        seen = {role: np.nan if each is None else each for role, each in values.items()}
        differences = [each - float(composed[role].item()) for role, each in seen.items()]
        if not np.isfinite(differences).all():
            return None
        return float(np.sqrt(np.mean(np.square(differences))))

    def _is_taken(self, scene: Scene, item: str | None) -> bool:
        """Tell whether the stored day and source are this observation's."""
        names = [item]
        if self._pixels is None:
            # Which of several items has the pixel is not known then.
            names = [self.looked.composing.task.item_id(p) for p in scene.items]
        day = scene.time.astimezone(UTC).date().isoformat()
        return day == self.stored["day"] and self.stored["source"] in names

    def _verdict(
        self, scene: Scene, item: str | None, values: Mapping[str, float | None] | None
    ) -> tuple[Verdict, str]:
        label = LABELS[self.looked.codes[scene]]
        inside = self._is_inside(scene)
        verdicts: tuple[Verdict, Verdict] = ("not usable", "history")
        if not self.looked.usable[scene]:
            return verdicts[not inside], f"its mask says {label}"
        guarded = "" if label in _GROUND else f"{label}, taken for ground by the guard; "
        if inside and not self.looked.composed.get(scene, True):
            most = self.asked.settings.max_observations
            return (
                "not needed",
                f"{guarded}usable; {most} of clearer scenes are enough (max_observations)",
            )
        if values is None:
            return self._unread(scene, item, guarded)
        lacking = [role for role, each in values.items() if each is None]
        if lacking:
            text = f"{guarded}no data in {', '.join(lacking)}{self._unfit(scene)}"
            return ("no data" if inside else "history"), text
        return self._judged(scene, item, values, guarded)

    def _judged(
        self,
        scene: Scene,
        item: str | None,
        values: Mapping[str, float | None],
        guarded: str,
    ) -> tuple[Verdict, str]:
        """Return the verdict of an observation that was composed, or judged by its history."""
        inside, state = self._is_inside(scene), self._at[scene.sensor, scene.time][2]
        if state in ASIDE:
            text = f"{guarded}put aside: {self._beside(scene, state)}"
            return ("put aside" if inside else "history"), text
        if not inside:
            return "history", f"{guarded}stands"
        if state == RESTORED:
            guarded += "all of the period were put aside, and it has the least blue; "
        least = self.asked.settings.min_observations
        if least > 1 and not self.stored["count"]:
            return "too few", f"{guarded}stands; a pixel needs {least} (min_observations)"
        if self._is_taken(scene, item):
            return "taken", f"{guarded}{self._why_taken()}"
        return "composed", f"{guarded}{self._why_not(scene, values)}"

    def _unread(self, scene: Scene, item: str | None, guarded: str) -> tuple[Verdict, str]:
        if not self._is_inside(scene):
            return "history", f"{guarded}usable; its rasters were not read"
        if self._is_taken(scene, item):
            return "taken", f"{guarded}the store names it"
        return "not known", f"{guarded}usable, and not taken; why, its rasters would tell"

    def _unfit(self, scene: Scene) -> str:
        cube, at, _ = self._at[scene.sensor, scene.time]
        kind = int(cube["unfit"][at, 0, 0])
        return f" ({UNFIT[kind - 1]})" if kind else ""

    def _beside(self, scene: Scene, state: int) -> str:
        """Say what an observation stands out of: the nearest dates before and after that stand."""
        if self._pixels is not None and (doubt := self._pixels.doubt(scene)):
            return doubt
        role = EVIDENCE[0] if state == BRIGHT else EVIDENCE[1]

        def value(each: Scene) -> float:
            cube, at, _ = self._at[each.sensor, each.time]
            return float(cube[role][at, 0, 0])

        standing = [
            each
            for each, _ in self.cells
            if (each.sensor, each.time) in self._at
            and self._at[each.sensor, each.time][2] in (KEPT, RESTORED)
            and self.looked.usable[each]
            and each is not scene
        ]
        before = [each for each in standing if each.time <= scene.time][-1:]
        after = [each for each in standing if each.time > scene.time][:1]
        near = [f"{value(each):.3f} on {each.time:%Y-%m-%d}" for each in (*before, *after)]
        return (
            f"{ASIDE[state]} ({role} {value(scene):.3f}) than the dates beside it that stand"
            f"{': ' + ', '.join(near) if near else ''}"
        )

    def _why_taken(self) -> str:
        method = self.asked.settings.method
        if self._pixels and self._pixels.alone:
            return f"{method}: the highest score"
        if method in ENDS:
            return ENDS[method].replace("not ", "")
        return f"nearest to the {method}" if method != "nearest" else "the nearest"

    def _why_not(self, scene: Scene, values: Mapping[str, float | None]) -> str:
        method, score, off = (
            self.asked.settings.method,
            self._score(scene),
            self._off(scene, values),
        )
        if score is not None:
            return f"stands; its score is lower than that of {self.stored['day']}, or equal and later"
        if method in ENDS:
            return f"stands; {ENDS[method]}"
        return f"stands; {off or 0.0:.4f} from the value, {self.stored['day']} is nearer, or as near and earlier"


_GROUND = {LABELS[code] for code in (1, 2, 3)}


# -- beside the observations -------------------------------------------------------------------


def _notes(asked: Asked, looked: Looked, differs: list[str]) -> Iterator[str]:
    if looked.failure is not None:
        yield f"the rasters were not read ({looked.failure}): this is what the store alone knows"
    if looked.never:
        yield "no run composed this period in this tile"
    elif not looked.as_made:
        guess = ", or other settings of screening than the defaults" if asked.guessed else ""
        yield (
            "the stored cell was made of other masks, items or settings than the store has now"
            f"{guess}: what is told here may differ from what was done"
        )
    if differs:
        # Angles are no part of a cell's fingerprint: what a catalogue states later makes nothing again.
        weighed = looked.as_made and "view_deg" in method_of(asked.settings).needs
        late = (
            ": items may state other view angles now than when it was made" if weighed else ""
        )
        yield f"the pixel made again differs from the stored one in {', '.join(differs)}{late}"
    past = len(looked.cells.around)
    if asked.settings.screen is not None:
        yield (
            f"screened by {counted(past, 'scene')} from {asked.settings.screen.history_days} days "
            "before and after the period"
        )
