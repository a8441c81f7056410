"""How far a sweep is, who is at work on it, and who was."""

from __future__ import annotations

from pathlib import Path

from copydyn.sweeps.atlas import Atlas, opened
from copydyn.sweeps.drive import Sign, signs_of_life
from copydyn.toml_text import one_line
from copydyn.wording import duration


def status_of(folder: Path) -> str:
    """Say how far a sweep is.

    Raises
    ------
    BadValue
        If the folder holds none.
    """
    found = opened(folder)
    recipe, atlas = found.recipe, Atlas(found, look=False)
    missing = failed = made = 0
    for theory in range(len(recipe.theories)):
        for number in range(recipe.strands_of_theory(theory)):
            strand = recipe.strand(theory, number)
            part = 0 if recipe.target else strand.first // recipe.replicas_a_run
            record, row = atlas.record[theory, strand.point, part], atlas.row[theory, strand.point, part]
            missing += record < 0
            failed += record >= 0 and row < 0
            made += row >= 0
    axes = " x ".join(f"{len(axis)} {', '.join(axis.keys)}" for axis in recipe.axes) or "one point"
    lines = [f"{recipe.name}: {axes}; {', '.join(recipe.theories)}; {recipe.replicas} replicas, seed {recipe.seed}"]
    total = recipe.strands
    lines.append(f"  runs          {made} of {total} are there, {failed} failed, {missing} missing")
    signs = signs_of_life(found.store)
    lines += [f"  {'at work' if sign.alive else 'ended':<12}  {_told(sign)}" for sign in signs]
    if missing and not any(sign.alive for sign in signs):
        lines.append(f"  go on with    python -m copydyn sweep {folder}")
    if found.runs.damaged:
        lines.append(f"  damaged       {len(found.runs.damaged)} records; python -m copydyn verify {folder} names them")
    for sentence, times in _faults(atlas):
        lines.append(f"  failed        {times} x {one_line(sentence)}")
    return "\n".join(lines)


def _told(sign: Sign) -> str:
    said = sign.said
    who = f"process {said.get('pid')} on {said.get('host')}"
    far = f"{said.get('done')} of {said.get('total')} made, {said.get('failed')} failed"
    if sign.alive:
        return f"{who}: {far}, {float(said.get('rate', 0.0)):.3g} a second, heard {duration(sign.silent)} ago"
    why = "without a word" if said["state"] == "running" else str(said["state"])
    return f"{who}, {why}, {duration(sign.silent)} ago: {far}"


def _faults(atlas: Atlas, most: int = 5) -> list[tuple[str, int]]:
    """Count the sentences of runs that have failed, the commonest first."""
    told: dict[str, int] = {}
    for record in {int(number) for number in atlas.record[(atlas.record >= 0) & (atlas.row < 0)]}:
        for entry in atlas.store.record(atlas.index.names[record]).entries:
            if entry.fault:
                told[entry.fault] = told.get(entry.fault, 0) + 1
    return sorted(told.items(), key=lambda item: -item[1])[:most]
