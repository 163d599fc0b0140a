"""The figure of an advice: the scores by which a race was decided."""

from __future__ import annotations

import math
from typing import Any

from scalarize.analysis import readers
from scalarize.report.charts import Chart, Series


def scores(race: Any) -> Chart | None:
    """Show each contender's score on validation by seed: short lines were dropped early.

    Args:
        race: contender -> number of the seed -> score or null, of a comparison's result.

    Returns:
        The figure; None if there is nothing to draw.
    """
    series = []
    for name, own in race.items() if isinstance(race, dict) else ():
        known = {int(s): v for s, v in own.items() if str(s).isdecimal()} if isinstance(own, dict) else {}
        values = [v if readers.is_number(v) else math.nan for v in known.values()]
        if any(map(math.isfinite, values)):
            series.append(Series(str(name), list(known), values, joined=True))
    if not series:
        return None
    said = "; ".join(f"{s.name} {len(s.x)}" for s in series)
    return Chart(
        title="The race",
        kind="points",
        alt=f"Score on validation by seed, a line a contender; seeds of each: {said}.",
        x_label="seed, counted from the first",
        y_label="score on validation, higher is better",
        series=tuple(series),
        note="Contenders are paired by seed. Those that end early were dropped; even weights, the best rule and the "
        "search's policy are tested on seeds that nothing was chosen by.",
    )
