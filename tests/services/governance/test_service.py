"""Asking, deciding and using, by the rules."""

from .conftest import FANG, WU, ZHAO, Governance


def test_two_others_make_an_act_possible_once(governance: Governance) -> None:
    asked = governance.ask()
    assert (asked.state, asked.approvers_needed, asked.may) == ("waiting", 2, ["withdraw"])
    assert governance.approve(asked, FANG).json()["state"] == "waiting"
    assert governance.approve(asked, WU).json()["state"] == "approved"
    claim = governance.use(asked)
    governance.complete(claim)
    done = governance.get(asked.id)
    assert (done.state, [vote.sub for vote in done.approvals]) == ("used", ["fang", "wu"])
    assert done.completed_at == done.used_at == governance.now
    assert governance.events() == [
        ("approval.requested", ZHAO.sub),
        ("approval.approved", "fang"),
        ("approval.approved", "wu"),
        ("approval.used", "zhao"),
    ]
