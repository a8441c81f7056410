"""How far a sweep is, who is at work on it, and who was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from copydyn.scenario.toml_text import one_line
from copydyn.sweeps.atlas import FAILED, MISSED, OK, UNFINISHED, Atlas, opened
from copydyn.sweeps.drive import Sign, signs_of_life
from copydyn.sweeps.recipe import Recipe
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
    axes = " x ".join(f"{len(axis)} {', '.join(axis.keys)}" for axis in recipe.axes) or "one point"
    lines = [f"{recipe.name}: {axes}; {', '.join(recipe.theories)}; {_replicas(recipe)}, seed {recipe.seed}"]
    words = list(_words_of_strands(recipe, atlas))
    missing = words.count("") + words.count(UNFINISHED)
    made, failed = len(words) - missing - words.count(FAILED), words.count(FAILED)
    begun = f", {words.count(UNFINISHED)} of them begun" if UNFINISHED in words else ""
    lines.append(f"  runs          {made} of {len(words)} are there, {failed} failed, {missing} missing{begun}")
    signs = signs_of_life(found.store)
    lines += [f"  {'at work' if sign.alive else 'ended':<12}  {_told(sign)}" for sign in signs]
    if missing and not any(sign.alive for sign in signs):
        lines.append(f"  go on with    python -m copydyn sweep {folder}")
    if found.runs.damaged:
        lines.append(f"  damaged       {len(found.runs.damaged)} records; python -m copydyn verify {folder} names them")
    lines += _missed(recipe, atlas)
    for sentence, times in _faults(atlas):
        lines.append(f"  failed        {times} x {one_line(sentence)}")
    return "\n".join(lines)


def _replicas(recipe: Recipe) -> str:
    if recipe.target is None:
        return f"{recipe.replicas} replicas"
    until = f"until the largest standard error of {recipe.target.of} is below {recipe.target.error:g}"
    return f"{recipe.replicas} replicas at a time {until}, {recipe.target.most} at most"


def _words_of_strands(recipe: Recipe, atlas: Atlas) -> Iterator[str]:
    """Say of each strand how far it is; of those with a target, whether that is reached."""
    for theory in range(len(recipe.theories)):
        for number in range(recipe.strands_of_theory(theory)):
            strand = recipe.strand(theory, number)
            if recipe.target is not None:
                yield str(atlas.words[theory, strand.point])
                continue
            part = strand.first // recipe.replicas_a_run
            failed = atlas.row[theory, strand.point, part] < 0
            yield "" if atlas.record[theory, strand.point, part] < 0 else FAILED if failed else OK


def _missed(recipe: Recipe, atlas: Atlas, most: int = 5) -> list[str]:
    """Name points that have missed the target, each once where it is the same for a theory along an axis."""
    lines = []
    for theory in range(len(recipe.theories)):
        strands = (recipe.strand(theory, number) for number in range(recipe.strands_of_theory(theory)))
        for point in dict.fromkeys(strand.point for strand in strands):
            if atlas.words[theory, point] == MISSED:
                error, replicas = float(atlas.error[theory, point]), int(atlas.drawn[theory, point])
                lines.append(f"  target missed {recipe.told_missed(theory, point, error, replicas)}")
    more = [f"  target missed at {len(lines) - most} more points"] if len(lines) > most else []
    return lines[:most] + more


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
