"""What hardly anybody asks for: other forms of an axis, and refusals that no other test had met."""

import numpy as np
import pytest
import qutip
from scipy import sparse

import copydyn
from copydyn import Experiment, System
from copydyn.__main__ import main
from copydyn.runs.streams import said
from copydyn.sweeps.api import axes_of
from copydyn.sweeps.checks import verified
from copydyn.sweeps.store import Store
from copydyn.theories.irreversible.equilibrium import Window, equilibrium_of
from copydyn.theories.irreversible.reduction import reduction_of
from copydyn.theories.irreversible.steady import steady_state
from tests.inline import run

# ---- axes from Python


@pytest.mark.parametrize(
    ("axes", "keys", "rows"),
    [
        ({("a.b", "c.d"): [(1, 2.0), (3, "x")]}, ("a.b", "c.d"), ((1, 2), (3, "x"))),
        ({("a.b", "c.d"): np.array([[1, 2], [3, 4]])}, ("a.b", "c.d"), ((1, 2), (3, 4))),
        ({"a.b": range(3)}, ("a.b",), ((0,), (1,), (2,))),
        ({"a.b": (1, 2)}, ("a.b",), ((1,), (2,))),
        ({"a.b": np.array([0.5, 1.0])}, ("a.b",), ((0.5,), (1,))),
        ({"a.b": [[0.6, 0.8j], [0.8, 0.6]]}, ("a.b",), (([0.6, [0, 0.8]],), ([0.8, 0.6],))),
    ],
)
def test_an_axis_has_many_forms(axes, keys, rows):
    ((axis,), fixed) = axes_of(axes)
    assert fixed == []
    assert axis.keys == keys
    assert axis.values == rows


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: copydyn.sweep("rabi", {}, out="x", colour=3), TypeError, "no option of a sweep; there are replicas"),
        (
            lambda: axes_of({("a.b", "c.d"): [(1, 2), (3,)]}),
            ValueError,
            "every value of these 2 keys must be a tuple of 2",
        ),
        (lambda: axes_of({("a.b", 3): [(1, 2)]}), TypeError, "must be called by a key, or a tuple of keys"),
    ],
)
def test_axes_and_options_that_are_none_are_refused(call, kind, says, refuses):
    refuses(call, kind, says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--jobs", "0"], "--jobs must be a whole number from 1 to 1024, but is 0"),
        (["--jobs", "1025"], "--jobs must be a whole number from 1 to 1024, but is 1025"),
        (["--jobs", "two"], "--jobs must be a whole number from 1 to 1024, but is two"),
        (["--checkpoint-every", "0"], "--checkpoint-every must be a number of seconds > 0, but is 0"),
        (["--checkpoint-every", "soon"], "--checkpoint-every must be a number of seconds > 0, but is soon"),
    ],
)
def test_bad_options_of_the_command_get_one_sentence(arguments, says, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["scenario", "rabi", *arguments])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


# ---- stores


def test_a_store_of_which_nothing_was_asked_says_so(tmp_path, refuses):
    store = Store.create(tmp_path / "empty")
    (trouble,) = verified(store.folder).troubles
    assert (trouble.kind, trouble.why) == ("missing", "nothing was asked of this store.")
    refuses(store.last_sweep, ValueError, "a store must hold a sweep, but nothing was asked of it")


def test_what_is_certain_meets_every_target_at_once(tmp_path):
    fixed = ("schedule.stop=2", "schedule.points=3", 'theory.engine="meanfield"')
    run(tmp_path, "system.detuning=0.5,1", fixed=fixed, replicas=1, target_error=1e-9, max_replicas=50)
    found = copydyn.open_sweep(tmp_path)
    assert found["target_error"].values.tolist() == [0.0, 0.0]


# ---- equilibria


def test_windows_are_refused_where_their_parts_do_not_fit(refuses):
    refuses(lambda: Window("given", weights=(0.5, 0.5), sectors="shells"), ValueError, "that are given have no sectors")


def test_a_charge_may_be_sparse_or_of_qutip():
    charge = np.array([[0.3, 0.2], [0.2, -0.3]])
    plain, thin, other = (
        Window(charge=one, sectors="global") for one in (charge, sparse.csr_array(charge), qutip.Qobj(charge))
    )
    assert plain.charge == thin.charge == other.charge == ((0.3, 0.2), (0.2, -0.3))


def test_a_steady_state_that_takes_for_ever_is_refused(refuses):
    h = np.array([[0.3, 0.2 - 0.1j], [0.2 + 0.1j, -0.3]])
    chi = equilibrium_of(Experiment.of(h, [0.6, 0.8], [0.0, 1.0]), Window())
    reduction = reduction_of(System(h))
    refuses(
        lambda: steady_state(chi, reduction, 1e-9, 1.0, "fixed-point"), ValueError, "must be found in .* iterations"
    )


# ---- names


def test_a_qobj_is_named_by_its_entries():
    one, same, other = (qutip.Qobj(np.array([[1.0, x], [x, 2.0]])) for x in (0.5, 0.5, 0.6))
    assert said(one) == said(same) != said(other)
