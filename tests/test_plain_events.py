"""Every kernel in which copies copy each other against one plain loop, event by event, phases and momenta included.

H is complex and has no symmetry, so that a conjugate, a transposed index or a sign is seen at once. All of it runs in
seconds where nothing is compiled.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from plain_events import Law, Members, play
from plain_family import equations

from copydyn.experiment import Experiment
from copydyn.kernels import variates
from copydyn.kernels.alignment import SPAN, advance_aligning, begin_motion, equal_part, fastest_angle, motion_of
from copydyn.kernels.family import advance_family, begin_family_step, family_workspace
from copydyn.kernels.flow import begin_step, workspace
from copydyn.kernels.per_copy import advance_copies, begin_copies_step, sum_phases
from copydyn.kernels.per_label import REACHED, advance
from copydyn.kernels.roster import event_log, roster_of
from copydyn.runs.streams import streams
from copydyn.theories import CopyDynamics
from copydyn.theories.copies import copying
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.ensemble import couplings_of
from copydyn.theories.copies.rules import RULES, Harmonic, Rule

H = np.array([[0.3, 0.5 + 0.2j, 0.35j], [0.5 - 0.2j, -0.4, 0.1 - 0.45j], [-0.35j, 0.1 + 0.45j, 0.7]])
PHASES = np.array([0.3, 1.9, 4.4])
COUNTS = np.array([60, 35, 45])
TWO_WAYS = Rule(0.6, -0.7, 1.5, (Harmonic(1, 1.0, 1.0, 0.3, 0.2), Harmonic(2, 0.6, -0.3, 2.4, -0.7)))


def words(seed=5):
    return np.random.SeedSequence(seed).generate_state(4, np.uint64)


def events_of(log):
    return list(zip(*(column[: log.used[0]].tolist() for column in log[:5]), strict=True))


def assert_same_events(ours, theirs, *, named=True, least=15):
    assert len(ours) >= least
    assert [event[3:] for event in ours] == [event[3:] for event in theirs]
    assert not named or [event[1:3] for event in ours] == [event[1:3] for event in theirs]
    np.testing.assert_allclose([event[0] for event in ours], [event[0] for event in theirs], rtol=0, atol=1e-6)


# --- copies of a label share a phase ------------------------------------------------------------------------------


class Shared:
    """Counts and phases of labels, and what a step knows of them, from nothing but the equations of the rule."""

    def __init__(self, rule, h, counts, phases):
        size = len(counts)
        self.rule, self.counts, self.phases = rule, counts, np.array(phases[:size], float)
        self.frozen = rule.phases == "frozen"
        self.turn_to(h)

    def turn_to(self, h):
        """Let another Hamiltonian hold."""
        size = self.counts.size
        self.h, self.flow = h, equations(h, self.rule)
        self.edges = [(a, b) for a in range(size) for b in range(a + 1, size) if h[a, b] != 0]

    def law(self, named, couplings, begin, kind, work, step=0.1):
        """What the plain loop asks; ``begin`` is the kernel's step, with its ``kind`` of rule and its ``work``."""

        def opened(longest):
            length, total = begin(self.counts, np.exp(-1j * self.phases), couplings, longest, step, kind, work)
            self.open(length)
            return length, total

        return Law(
            begin=opened,
            bounds=lambda: work.bound,
            edge=lambda channel: self.edges[channel // len(self.rule.harmonics)],
            rate=lambda channel, first, second, elapsed: self.rate(channel, elapsed),
            draws=named,
            take=lambda copier, copied, elapsed: None,
            finish=self.finish,
        )

    def first(self, y):
        """d(n, phi)/dt."""
        return self.flow(0.0, y)

    def along(self, function, y, step=1e-4):
        """The derivative of a function along the mean flow."""
        v = step * self.first(y)
        return (function(y + v) - function(y - v)) / (2 * step)

    def derivatives(self, phases):
        """phi', phi'' and phi''' of the mean flow, for the counts that there are."""
        if self.frozen:
            return np.zeros((3, phases.size))

        def second(y):
            return self.along(self.first, y)

        y = np.concatenate([self.counts.astype(float), phases])
        return np.array([each[phases.size :] for each in (self.first(y), second(y), self.along(second, y))])

    def open(self, length):
        self.length, self.begun = length, self.derivatives(self.phases)

    def rate(self, channel, elapsed):
        edge, number = divmod(channel, len(self.rule.harmonics))
        (a, b), m = self.edges[edge], self.rule.harmonics[number]
        v, bend, curve = self.begun
        turned = self.phases + elapsed * (v + elapsed * 0.5 * (bend + 0.25 * self.length * curve))
        theta = turned[a] - turned[b] + np.angle(self.h[a, b])
        s = self.rule.ratio * m.copying * abs(self.h[a, b]) * np.sin(m.order * theta + m.copy_offset)
        gains, loses = (a, b) if s > 0 else (b, a)
        return s * float(self.counts[gains]) ** self.rule.q * float(self.counts[loses]) ** (1 - self.rule.q)

    def finish(self, elapsed):
        v, bend, curve = self.begun
        ahead = self.phases + elapsed * (v + elapsed * (bend / 2 + elapsed * curve / 6))
        end, end_bend, _ = self.derivatives(ahead)
        self.phases += 0.5 * elapsed * (v + end) + elapsed**2 / 12 * (bend - end_bend)


def plainly(rule, h, counts, span, *, named, floor, begin, kind, work):
    """Events, counts and phases by the plain loop."""
    some = Shared(rule, h, counts.copy(), PHASES)
    law, members = some.law(named, couplings_of(h, 1.0), begin, kind, work), Members(counts) if named else None
    events = play(law, some.counts, lambda: (work.lowest, work.highest), members, span, words(), floor)
    return events, some.counts, some.phases


CASES = {
    "named": (H, COUNTS, {"named": True}),
    "named, floor": (H, COUNTS, {"named": True, "floor": 30}),
    "counted": (H, COUNTS, {}),
    "counted, floor": (H, COUNTS, {"floor": 30}),
    "few": (H, np.array([4, 7, 300]), {"floor": 0}),
    "one edge": (H[:2, :2], np.array([60, 80]), {}),
    "one edge, few here": (H[:2, :2], np.array([9, 300]), {}),
    "one edge, few there": (H[:2, :2], np.array([300, 9]), {}),
    "one edge, many": (H[:2, :2], np.array([3000, 4000]), {}),
    "one edge, floor here": (H[:2, :2], np.array([60, 80]), {"floor": 52}),
    "one edge, floor there": (H[:2, :2], np.array([80, 60]), {"floor": 52}),
    "an edge less": (np.where(np.eye(3)[[2, 1, 0]] - np.diag([0, 1, 0]) > 0, 0, H), COUNTS, {"named": True}),
}


@pytest.mark.parametrize("rule", ["smolin", "printed"])
@pytest.mark.parametrize("case", CASES)
def test_aligned_copies_do_what_the_plain_loop_does(case, rule):
    h, start, settings = CASES[case]
    named, floor = settings.get("named", False), settings.get("floor", 0)
    mode, span, step = (1.0 if rule == "smolin" else -1.0), 1.6, 0.1
    couplings, work = couplings_of(h, 1.0), workspace(start.size, couplings_of(h, 1.0).a.size)
    theirs, counts, phases = plainly(
        RULES[rule], h, start, span, named=named, floor=floor, begin=begin_step, kind=mode, work=work
    )  # fmt: skip
    ours, unit, log = start.copy(), np.exp(-1j * PHASES[: start.size]), event_log(5000)
    roster = roster_of(ours, with_phases=False) if named else None
    status, now, events, _, _ = advance(
        ours, unit, couplings, 0.0, span, step, floor, mode, 2**60, words(), workspace(start.size, couplings.a.size),
        roster, log,
    )  # fmt: skip
    assert (status, now, events) == (REACHED, span, len(theirs))
    assert events > 7
    if named:
        assert_same_events(events_of(log), theirs)
        assert np.bincount(roster.beable, minlength=start.size).tolist() == counts.tolist()
    assert ours.tolist() == counts.tolist()
    np.testing.assert_allclose(unit[counts > 0], np.exp(-1j * phases)[counts > 0], rtol=0, atol=1e-6)


RULES_OF_THE_FAMILY = {
    "two ways": (TWO_WAYS, {"named": True}),
    "two ways, counted": (TWO_WAYS, {}),
    "floor": (Rule(q=1.3, r=0.2), {"floor": 30}),
    "q < 0": (Rule(q=-0.4, r=-1.0, ratio=0.9, harmonics=(Harmonic(2, 0.8, 1.1, -0.5, 0.4),)), {"named": True}),
    "third harmonic": (Rule(harmonics=(Harmonic(3, 0.4, 0.6, 0.2, -0.3),)), {}),
    "frozen": (Rule(q=0.2, harmonics=(Harmonic(), Harmonic(2, 0.5)), phases="frozen"), {"named": True}),
    "quantum": (Rule(), {}),
}


@pytest.mark.parametrize("case", RULES_OF_THE_FAMILY)
def test_copies_of_the_family_do_what_the_plain_loop_does(case):
    """The plain loop works out every power: the kernel may be sure without it only where it would say the same."""
    rule, settings = RULES_OF_THE_FAMILY[case]
    named, floor, span, step = settings.get("named", False), settings.get("floor", 0), 1.6, 0.1
    couplings, family = couplings_of(H, 1.0), rule.family
    work = family_workspace(3, couplings.a.size, family)
    theirs, counts, phases = plainly(
        rule, H, COUNTS, span, named=named, floor=floor, begin=begin_family_step, kind=family, work=work
    )  # fmt: skip
    ours, unit, log = COUNTS.copy(), np.exp(-1j * PHASES), event_log(5000)
    roster = roster_of(ours, with_phases=False) if named else None
    fresh = family_workspace(3, couplings.a.size, family)
    status, now, events, _, _ = advance_family(
        ours, unit, couplings, 0.0, span, step, floor, family, 2**60, words(), fresh, roster, log
    )
    assert (status, now, events) == (REACHED, span, len(theirs))
    assert events > 7
    if named:
        assert_same_events(events_of(log), theirs)
    assert ours.tolist() == counts.tolist()
    np.testing.assert_allclose(unit, np.exp(-1j * phases), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", ["smolin", "printed"])
def test_a_step_allows_what_the_mean_flow_changes_and_four_deviations(rule):
    """For counts from a hundred to millions: lowest and highest against the flow's own derivatives and the traffic."""
    mode, step = (1.0 if rule == "smolin" else -1.0), 0.15
    couplings, work = couplings_of(H, 1.0), workspace(3, 3)
    seen = set()
    for scale in (3, 100, 40_000):
        for turn in (0.0, 1.3, 2.9, 4.1):
            counts = scale * COUNTS
            some = Shared(RULES[rule], H, counts, PHASES * turn)
            length, _ = begin_step(counts, np.exp(-1j * some.phases), couplings, 1.0, step, mode, work)
            y = np.concatenate([counts.astype(float), some.phases])
            net = length * some.first(y)[:3] + 0.5 * length**2 * some.along(some.first, y)[:3]
            peak, traffic = np.array(work.bound), np.zeros(3)
            for bound, (a, b) in zip(peak, some.edges, strict=True):
                passing = bound * length * np.sqrt(counts[a] * counts[b] / (work.highest[a] * work.highest[b]))
                traffic[[a, b]] += passing
            spread = 4.0 * np.sqrt(traffic)
            down, up = np.maximum(-net, 0.0) + spread, np.maximum(net, 0.0) + spread
            for found, wanted in ((counts - work.lowest, down), (work.highest - counts, up)):
                assert np.all(np.abs(found - np.minimum(wanted, counts // 4)) <= 1.0 + 1e-6 * wanted)
            seen |= set(zip(np.sign(net.round(3)).tolist(), (down < counts // 4).tolist(), strict=True))
    assert {(-1.0, True), (1.0, True)} <= seen


# --- each copy has a phase of its own -----------------------------------------------------------------------------


class Own:
    """Copies with phases of their own, and with momenta where ``law`` gives them."""

    def __init__(self, law=None, h=H, counts=COUNTS, spread=0.7, push=0.8):
        rng = np.random.default_rng(8)
        self.h, self.law, self.counts, self.state = h, law, counts.copy(), words()
        self.members = Members(counts)
        label = np.repeat(np.arange(counts.size), counts)
        self.phase = PHASES[label] + spread * rng.normal(size=label.size)
        self.momentum = push * rng.normal(size=label.size)
        self.couplings = couplings_of(h, 1.0)
        self.work = workspace(counts.size, self.couplings.a.size)
        self.edges = list(zip(self.couplings.a.tolist(), self.couplings.b.tolist(), strict=True))

    @property
    def label(self):
        out = np.zeros(self.phase.size, int)
        for label, own in enumerate(self.members.of):
            out[own] = label
        return out

    def sums(self, weights, phase, times=1):
        values = weights * np.exp(-1j * times * phase)
        return np.array([values[own].sum() for own in self.members.of])

    def field(self, sums):
        """sum_a h_ba Z_a / sqrt(n_a n_b)."""
        n = np.array([len(own) for own in self.members.of], float)
        off = self.h - np.diag(np.diag(self.h))
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(np.outer(n, n) > 0, off / np.sqrt(np.outer(n, n)), 0.0)
        return each @ sums

    def omega(self, phase, field):
        label = self.label
        return np.diag(self.h).real[label] + (np.exp(1j * phase) * field[label]).real

    def begin(self, longest, step):
        self.begun = self.field(self.sums(1.0, self.phase))
        return begin_copies_step(self.counts, self.sums(1.0, self.phase), self.couplings, longest, step, self.work)

    def turned(self, copy, elapsed):
        rate = self.omega(self.phase, self.begun)[copy] + (self.momentum[copy] if self.law else 0.0)
        return self.phase[copy] + elapsed * rate

    def rate(self, channel, first, second, elapsed):
        a, b = self.edges[channel]
        theta = self.turned(first, elapsed) - self.turned(second, elapsed) + np.angle(self.h[a, b])
        return 2.0 * abs(self.h[a, b]) * np.sin(theta) * np.sqrt(float(self.counts[a]) * self.counts[b])

    def take(self, copier, copied, elapsed):
        self.phase[copier] = self.phase[copied]
        if self.law is None:
            return
        self.momentum[copier] = self.momentum[copied]
        if self.law.reset:
            self.phase[copier] += elapsed * self.momentum[copied]
            turn, label = np.exp(1j * self.phase[copier]), self.label[copied]
            force = (turn * self.pulled[label]).imag - 0.5 * self.law.strength**2 * (turn**2 * self.twisted[label]).imag
            self.momentum[copier], self.rested[copier] = -elapsed * force, elapsed

    def finish(self, elapsed):
        """The trapezium, its end by Euler."""
        rate = self.omega(self.phase, self.begun)
        ahead = self.phase + elapsed * rate
        self.phase = self.phase + 0.5 * elapsed * (rate + self.omega(ahead, self.field(self.sums(1.0, ahead))))

    def play(self, span, step, mode, floor, begin=None, finish=None):
        law = Law(
            begin=begin or (lambda longest: self.begin(longest, step)),
            bounds=lambda: self.work.bound,
            edge=self.edges.__getitem__,
            rate=lambda *meeting: mode * self.rate(*meeting),
            draws=True,
            take=self.take,
            finish=finish or self.finish,
        )
        limits = lambda: (self.work.lowest, self.work.highest)  # noqa: E731
        return play(law, self.counts, limits, self.members, span, self.state, floor)

    def rows(self):
        """The same for the kernels, at the start."""
        counts = self.counts.copy()
        roster, sums = roster_of(counts, with_phases=True), np.zeros(counts.size, complex)
        roster.phase[:] = self.phase
        sum_phases(sums, roster)
        return SimpleNamespace(
            counts=counts, roster=roster, sums=sums, momenta=self.momentum.copy(), log=event_log(5000)
        )


@pytest.mark.parametrize(("mode", "floor"), [(1.0, 0), (-1.0, 0), (1.0, 33)])
def test_copies_with_phases_of_their_own_do_what_the_plain_loop_does(mode, floor):
    twin, span, step = Own(), 1.5, 0.1
    ours = twin.rows()
    theirs = twin.play(span, step, mode, floor)
    out = advance_copies(
        ours.counts, ours.sums, twin.couplings, 0.0, span, step, floor, mode, 2**60, words(), workspace(3, 3),
        ours.roster, ours.log,
    )  # fmt: skip
    assert out[:3] == (REACHED, span, len(theirs))
    assert_same_events(events_of(ours.log), theirs)
    assert ours.counts.tolist() == twin.counts.tolist()
    np.testing.assert_allclose(np.exp(1j * ours.roster.phase), np.exp(1j * twin.phase), rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.sums, twin.sums(1.0, twin.phase), rtol=0, atol=1e-9)


class Pushed(Own):
    """The second-order law; a step takes the labels before its events at its beginning and those after at its end."""

    def begin(self, longest, step):
        rows = self.rows()
        rows.roster.beable[:] = self.label
        motion, f = motion_of(self.phase.size, self.counts.size), self.law.strength
        energy = begin_motion(rows.counts, rows.sums, self.momentum, self.couplings, f, self.work, motion, rows.roster)
        fastest = SPAN * np.sqrt(2.0 * max(energy, 0.0) / self.phase.size)
        fastest = max(fastest, fastest_angle(self.counts, self.couplings, f, self.work))
        self.twisted = self.sums(1.0, self.phase, times=2)
        self.pulled = self.field(self.sums(self.momentum, self.phase))
        self.rested = np.zeros(self.phase.size)
        return super().begin(equal_part(longest, step, fastest), step)

    def force(self, phase, momentum, field, twisted, pull):
        label, f = self.label, self.law.strength
        turn = np.exp(1j * phase)
        back = -0.5 * f**2 * (turn**2 * twisted[label]).imag
        return back + (turn * pull[label]).imag + momentum * (turn * field[label]).imag

    def relaxed(self, momentum, step):
        """After half of a step."""
        law, half = self.law, 0.5 * step
        if law.friction == 0.0:
            return momentum
        momentum = momentum * np.exp(-law.friction * half)
        if law.temperature == 0.0:
            return momentum
        kicks = np.zeros(momentum.size)
        variates.fill_normal(self.state, kicks)
        left = np.sqrt(1.0 - self.rested / step)
        return momentum + np.sqrt(law.temperature * (1 - np.exp(-2 * law.friction * half))) * kicks * left

    def finish(self, elapsed):
        h, start = elapsed, self.phase
        moved = self.pulled - self.field(self.sums(self.momentum, start))  # what the events did to the pulls
        pi = self.relaxed(self.momentum, h)
        half = pi
        for _ in range(80):
            pull = self.field(self.sums(half, start)) + moved
            half = pi + 0.5 * h * self.force(start, half, self.begun, self.twisted, pull)
        turning, end = self.omega(start, self.begun), start
        for _ in range(80):
            after = self.omega(end, self.field(self.sums(1.0, end)))
            end = start + h * half + 0.5 * h * (turning + after)
        field, twisted = self.field(self.sums(1.0, end)), self.sums(1.0, end, times=2)
        force = self.force(end, half, field, twisted, self.field(self.sums(half, end)))
        self.phase, self.momentum = end, self.relaxed(half + 0.5 * h * force, h)


LAWS = {
    "copied": (Alignment(0.1), 1.0, 0),
    "reset": (Alignment(0.1, momentum="reset"), 1.0, 0),
    "reset, printed, floor": (Alignment(0.15, momentum="reset"), -1.0, 33),
    "copied, few": (Alignment(0.1), -1.0, 0, np.array([3, 60, 2])),
    "reset, few": (Alignment(0.1, momentum="reset"), -1.0, 0, np.array([3, 60, 2])),
    "friction": (Alignment(0.1, friction=0.6), 1.0, 0),
    "friction and noise": (Alignment(0.1, friction=0.6, temperature=0.4), 1.0, 0),
    "reset, friction and noise": (Alignment(0.3, friction=0.6, temperature=0.4, momentum="reset"), 1.0, 0),
}


@pytest.mark.parametrize("case", LAWS)
def test_copies_with_momenta_do_what_the_plain_loop_does(case):
    alignment, mode, floor, counts = (*LAWS[case], COUNTS)[:4]
    twin, span, step = Pushed(alignment.law, counts=counts), 1.2 if counts.sum() < 100 else 0.8, 0.2
    ours = twin.rows()
    theirs = twin.play(span, step, mode, floor)
    out = advance_aligning(
        ours.counts, ours.sums, ours.momenta, twin.couplings, 0.0, span, step, floor, mode, alignment.law, 2**60,
        words(), workspace(3, 3), motion_of(twin.phase.size, 3), ours.roster, ours.log,
    )  # fmt: skip
    assert out[:3] == (REACHED, span, len(theirs))
    assert_same_events(events_of(ours.log), theirs)
    np.testing.assert_allclose(np.exp(1j * ours.roster.phase), np.exp(1j * twin.phase), rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.momenta, twin.momentum, rtol=0, atol=1e-9)


# --- from pulse to pulse ------------------------------------------------------------------------------------------

ANOTHER = np.array([[-0.6, 0.2 - 0.5j, 0.4], [0.2 + 0.5j, 0.5, 0.0], [0.4, 0.0, 0.1]])
HBAR = 0.7
STRETCHES = ((0, 0.2, 0.9, -1), (1, 0.9, 1.3, 1), (1, 1.3, 2.1, -1), (0, 2.1, 2.4, 2), (0, 2.4, 2.5, 3))
"""(pulse, start, end, save time or -1) of the train below, by hand; the third pulse is the first again."""


@pytest.mark.parametrize("rule", ["smolin", "printed", TWO_WAYS], ids=str)
def test_runs_go_from_pulse_to_pulse_as_the_plain_loop_does(rule, monkeypatch):
    """Counts, phases and events of three replicas of one batch at every save time, through pulses with hbar = 0.7."""
    monkeypatch.setattr(copying, "MOST_PARTS", 1)
    train = [(0.9, H), (1.2, ANOTHER), (0.9, H)]
    ket = np.sqrt(COUNTS / COUNTS.sum()) * np.exp(-1j * PHASES)
    experiment = Experiment.of(train, ket, [0.2, 1.3, 2.4, 2.5], hbar=HBAR)
    theory = CopyDynamics(int(COUNTS.sum()), "exact", rule=rule, phase_step=0.1)
    result = theory.evolve(experiment, seed=5, replicas=3, first=1)
    family = rule.family if isinstance(rule, Rule) else None
    mode = {"smolin": 1.0, "printed": -1.0}.get(rule, 1.0)
    for replica, state in enumerate(streams(experiment, theory.resolved(experiment), 5, 3, 1)):
        some = Shared(rule if family else RULES[rule], H / HBAR, COUNTS.copy(), PHASES)
        happened = 0
        for pulse, start, end, save in STRETCHES:
            h = (H, ANOTHER)[pulse] / HBAR
            couplings = couplings_of(h, 1.0)
            some.turn_to(h)
            if family:
                work = family_workspace(3, couplings.a.size, family)
                way = (couplings, begin_family_step, family, work)
            else:
                work = workspace(3, couplings.a.size)
                way = (couplings, begin_step, mode, work)
            happened += len(play(some.law(False, *way), some.counts, lambda w=work: (w.lowest, w.highest), None,
                                 end - start, state))  # fmt: skip
            if save >= 0:
                seen = result.isel(replica=replica, time=save)
                assert seen.counts.values.tolist() == some.counts.tolist()
                assert int(seen.events) == happened
                off = np.exp(1j * seen.phase.values) - np.exp(1j * some.phases)
                assert np.abs(off[some.counts > 0]).max() < 1e-6
                assert np.isnan(off[some.counts == 0]).all()
        assert happened > 60


# --- what a step may not miss -------------------------------------------------------------------------------------


def test_no_difference_of_phases_turns_by_more_than_the_step_allows():
    """A detuning of 40 between labels that hardly couple; a label that nothing joins may turn as it likes."""
    h = np.diag([0.0, 40.0, 900.0]).astype(complex)
    h[0, 1] = h[1, 0] = 0.01
    couplings, unit = couplings_of(h, 1.0), np.exp(-1j * PHASES)
    length, _ = begin_step(COUNTS, unit, couplings, 1.0, 0.1, 1.0, workspace(3, 1))
    assert length == pytest.approx(0.1 / 40, rel=1e-3)
    twin = Own(h=h)
    assert twin.begin(1.0, 0.1)[0] == pytest.approx(0.1 / 40, rel=1e-3)


def test_bounds_of_copies_with_phases_of_their_own_hold_for_all_counts_that_a_step_allows():
    twin = Own(counts=30 * COUNTS)
    _, total = twin.begin(1.0, 0.2)
    for edge, (a, b) in enumerate(twin.edges):
        most = 2 * abs(H[a, b]) * np.sqrt(float(twin.work.highest[a]) * twin.work.highest[b])
        assert twin.work.bound[edge] == pytest.approx(most, rel=1e-12)
        assert twin.work.highest[a] > twin.counts[a]
    assert total == pytest.approx(sum(twin.work.bound))


def test_where_phases_are_frozen_no_energy_moves_a_bound():
    rule, found = Rule(q=0.2, phases="frozen"), []
    for energies in (np.zeros((3, 3)), np.diag([3.0, -2.0, 1.0])):
        couplings, work = couplings_of(H + energies, 1.0), family_workspace(3, 3, rule.family)
        begin_family_step(COUNTS, np.exp(-1j * PHASES), couplings, 1.0, 0.1, rule.family, work)
        found.append(work.bound.copy())
    np.testing.assert_array_equal(*found)
