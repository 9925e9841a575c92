"""What a study found, as a section of a page with a figure: means over seeds, and how far the seeds are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from pipeline.evaluate.confusion import Agreement, ratio
from pipeline.types import CLOUD, Code


@dataclass(frozen=True, kw_only=True)
class Result:
    """One training of one arm."""

    arm: str
    seed: int
    counts: Sequence[Sequence[Sequence[int]]]
    """(patch, true code, found code) pixels."""
    cpu_s: float
    """Of training, if it was not killed, and judging; in the process that trains alone."""


def agreement(counts: Any, codes: Sequence[Code]) -> Agreement:
    """Return some codes against the rest of (true, found) counts."""
    inside = np.isin(np.arange(len(Code)), codes)
    table = np.asarray(counts)
    both = [
        [int(table[np.ix_(true, found)].sum()) for found in (~inside, inside)]
        for true in (~inside, inside)
    ]
    return Agreement(tp=both[1][1], fn=both[1][0], fp=both[0][1], tn=both[0][0])


def statistics(of: Agreement) -> dict[str, float]:
    """Return the statistics of the comparison of U-Net and U-Net++ on Landsat 8, under their names there."""
    positive, negative = of.tp + of.fn, of.fp + of.tn
    tpr, fpr = of.recall, ratio(of.fp, negative)
    return {
        "TPR": tpr,
        "FNR": ratio(of.fn, positive),
        "FPR": fpr,
        "TNR": ratio(of.tn, negative),
        "Prev": ratio(positive, of.total),
        "ACC": of.accuracy,
        "BA": of.balanced_accuracy,
        "PPV": of.precision,
        "FDR": ratio(of.fp, of.tp + of.fp),
        "FOR": ratio(of.fn, of.fn + of.tn),
        "NPV": ratio(of.tn, of.fn + of.tn),
        "LRP": ratio(tpr, fpr),
        "LRN": ratio(ratio(of.fn, positive), ratio(of.tn, negative)),
        "TS": of.iou,
    }


def measures(result: Result) -> dict[str, float]:
    """Return the measures of a training, pixels of all patches together, and the median of patches."""
    whole = np.sum(result.counts, axis=0)
    cloud, shadow = agreement(whole, CLOUD), agreement(whole, (Code.CLOUD_SHADOW,))
    quarters = np.nanquantile(per_patch(result), (0.25, 0.5, 0.75))
    thin = whole[Code.THIN_CLOUD]
    right = [np.trace(each) / np.sum(each) for each in result.counts]
    return {
        "cloud F1": cloud.f1,
        "median patch": float(quarters[1]),
        "lower quarter of patches": float(quarters[0]),
        "upper quarter of patches": float(quarters[2]),
        "shadow F1": shadow.f1,
        "thin cloud found": ratio(int(thin[list(CLOUD)].sum()), int(thin.sum())),
        "thin F1": agreement(whole, (Code.THIN_CLOUD,)).f1,
        "water F1": agreement(whole, (Code.WATER,)).f1,
        "snow F1": agreement(whole, (Code.SNOW,)).f1,
        "right of seven classes": ratio(int(np.trace(whole)), int(whole.sum())),
        "right of seven, median patch": float(np.median(right)),
        "CAD": 100 * ratio(cloud.fp - cloud.fn, cloud.total),
        **statistics(cloud),
    }


SHORT = ("cloud F1", "median patch", "shadow F1", "thin cloud found", "ACC", "BA", "PPV", "TPR")
"""What is shown of a study that does not say otherwise in `shown`; `all`: everything."""


def per_patch(result: Result) -> list[float]:
    """Return F1 of cloud on each patch; NaN where there is none and none was found."""
    return [agreement(each, CLOUD).f1 for each in result.counts]


def cell(values: Sequence[float]) -> str:
    """Return a mean, and the least and greatest of several seeds."""
    shown = [f"{each:.3f}" for each in (float(np.mean(values)), min(values), max(values))]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if len(values) > 1 else shown[0]


def section(study: Mapping[str, Any], results: Sequence[Result]) -> str:
    """Return a study as Markdown."""
    arms = list(dict.fromkeys(each.arm for each in results))
    found = {arm: [measures(each) for each in results if each.arm == arm] for arm in arms}
    names = list(found[arms[0]][0])
    shown = study.get("shown", SHORT)
    names = names if shown == "all" else [name for name in names if name in shown]
    seeds = sorted({each.seed for each in results})
    rows = [
        f"| {name} | "
        + " | ".join(cell([one[name] for one in found[arm]]) for arm in arms)
        + " |"
        for name in names
        if not all(math.isnan(one[name]) for arm in arms for one in found[arm])
    ]
    cost = ", ".join(
        f"{arm} {np.mean([each.cpu_s for each in results if each.arm == arm]):.0f}"
        for arm in arms
    )
    changed = "; ".join(
        f"{key} {value}" for key, value in study.get("set", {}).items() if key != "sources"
    )
    return "\n".join(
        [
            f"## {study['name']}",
            "",
            f"{study['asks']}",
            "",
            *([f"**Found:** {study['found'].strip()}", ""] if "found" in study else []),
            f"Seeds {', '.join(map(str, seeds))}; {study['judged']['patches']} simulated patches that none of them has learnt from. Each recipe with "
            f"{changed or 'nothing changed'}. Mean over the seeds, least and greatest in brackets; of cloud against the rest where nothing else is said, CAD in per "
            f"cent of all pixels. CPU seconds of a training, without the processes that make samples: {cost}. {study.get('notes', '')}".rstrip(),
            "",
            "| | " + " | ".join(arms) + " |",
            "|---" * (len(arms) + 1) + "|",
            *rows,
            "",
            f"![F1 of cloud on each patch, by arm](studies/{study['name']}.png)",
            "",
        ]
    )


def figure(study: Mapping[str, Any], results: Sequence[Result], path: Path) -> None:
    """Draw F1 of cloud of every patch, a box for each arm and seed: quartiles, and whiskers to the least and the greatest."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 -- after its back end is chosen

    drawn, axis = plt.subplots(figsize=(8, 0.25 * len(results) + 1.2), layout="constrained")
    arms = list(dict.fromkeys(each.arm for each in results))
    ordered = sorted(results, key=lambda each: (arms.index(each.arm), each.seed))
    known = [[each for each in per_patch(one) if not math.isnan(each)] for one in ordered]
    labels = [f"{each.arm}, {each.seed}" for each in ordered]
    axis.boxplot(known, orientation="horizontal", tick_labels=labels, whis=(0, 100))
    axis.invert_yaxis()
    axis.set_xlabel("F1 of cloud on a patch: quartiles and range, by arm and seed")
    axis.set_title(study["name"])
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(drawn)


def write_section(page: Path, study: Mapping[str, Any], results: Sequence[Result]) -> None:
    """Put a study into its place of a page, or at its end, and its figure beside it."""
    begin, end = f"<!-- {study['name']} -->\n", f"<!-- end of {study['name']} -->\n"
    text = page.read_text(encoding="utf-8")
    before, known, rest = text.partition(begin)
    after = rest.partition(end)[2] if known else ""
    before = before if known else text.rstrip() + "\n\n"
    figure(study, results, page.parent / "studies" / f"{study['name']}.png")
    page.write_text(before + begin + section(study, results) + end + after, encoding="utf-8")
