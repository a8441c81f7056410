"""Rules of the family: what they may say, and what the kernel is told."""

import math

import numpy as np
import pytest

from copydyn.theories.copies.rules import RULES, Harmonic, Rule

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("make", "kind", "names"),
    [
        (lambda: Rule(q=NAN), ValueError, "q must be finite"),
        (lambda: Rule(q="half"), TypeError, "q must be a real number"),
        (lambda: Rule(r=-INF), ValueError, "r must be finite"),
        (lambda: Rule(r=True), TypeError, "r must be a real number"),
        (lambda: Rule(ratio=0.0), ValueError, "ratio must be > 0"),
        (lambda: Rule(ratio=-2.0), ValueError, "ratio must be > 0"),
        (lambda: Rule(harmonics=()), ValueError, "harmonics must hold at least one"),
        (lambda: Rule(harmonics=5), TypeError, "harmonics must be a sequence of Harmonic"),
        (lambda: Rule(harmonics="ab"), TypeError, "harmonics must be a sequence of Harmonic"),
        (lambda: Rule(harmonics=Harmonic()), TypeError, "harmonics must be a sequence of Harmonic"),
        (lambda: Rule(harmonics=(Harmonic(), 2)), TypeError, "one of them is 2"),
        (lambda: Rule(harmonics=(Harmonic(2), Harmonic(2, 0.1))), ValueError, "order 2 stands twice"),
        (lambda: Rule(phases="freeze"), ValueError, "phases must be one of flow, frozen"),
        (lambda: Rule(phases=None), ValueError, "phases must be one of flow, frozen"),
        (lambda: Harmonic(0), ValueError, "order must be >= 1"),
        (lambda: Harmonic(1.5), ValueError, "order must be a whole number"),
        (lambda: Harmonic(65), ValueError, "order must be at most 64"),
        (lambda: Harmonic(copying=-1.0), ValueError, "copying must be >= 0"),
        (lambda: Harmonic(copying=NAN), ValueError, "copying must be finite"),
        (lambda: Harmonic(2, 0.0, 0.0), ValueError, "order 2 are both 0"),
        (lambda: Harmonic(turning=INF), ValueError, "turning must be finite"),
        (lambda: Harmonic(copy_offset=NAN), ValueError, "copy_offset must be finite"),
        (lambda: Harmonic(turn_offset="pi"), TypeError, "turn_offset must be a real number"),
    ],
)
def test_what_is_no_rule_is_refused_in_a_sentence(make, kind, names, refuses):
    refuses(make, kind, names)


def test_default_is_quantum_mechanics():
    family = Rule().family
    assert (family.q, family.r, family.flow) == (0.5, -0.5, True)
    assert family.order.tolist() == [1]
    assert family.copying.tolist() == [2.0]  # R' = 2R
    assert family.turning.tolist() == [1.0]
    assert family.copy_factor.tolist() == family.turn_factor.tolist() == [1.0]
    assert RULES["smolin"] == Rule()


def test_rules_that_say_the_same_are_the_same():
    """A rule decides the random stream by its text: the order of the harmonics and the faces of a number do not."""
    ours = Rule(q=1, harmonics=[Harmonic(2.0, 0.1), Harmonic()])
    theirs = Rule(q=1.0, harmonics=(Harmonic(), Harmonic(2, 0.1)))
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    assert hash(ours) == hash(theirs)
    assert repr(ours) == "Rule(q=1.0, harmonics=(Harmonic(), Harmonic(order=2, copying=0.1)))"
    assert repr(Rule(r=0.0)) != repr(Rule(r=-0.5)) == "Rule()"


def test_an_offset_of_a_quarter_turn_is_exact():
    offsets = np.array([0.0, 0.5, 1.0, -0.5, 2.0]) * np.pi
    rule = Rule(harmonics=[Harmonic(m + 1, copy_offset=x, turn_offset=x) for m, x in enumerate(offsets)])
    assert rule.family.copy_factor.tolist() == [1, 1j, -1, -1j, 1]
    assert rule.family.turn_factor.tolist() == [1, 1j, -1, -1j, 1]
    assert RULES["printed"].family.copy_factor.tolist() == [-1]
