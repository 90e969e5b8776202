"""A text after its policy, and the way from its old places to its new ones."""

import pytest

from zhiku_platform.privacy import Analyzer, Entity, Finding, Sensitivity
from zhiku_platform.privacy.anonymise import Anonymised, anonymise, to_pseudonymise
from zhiku_platform.privacy.policy import PRESETS, Action, Preset, PrivacyPolicy
from zhiku_platform.privacy.pseudonyms import Value, pseudonym
from zhiku_platform.privacy.samples import FORMS, Form, structured

KEY = b"k" * 32
TEXT = "李明的手机是13800138000，邮箱li@example.com。"
FOUND = [
    Finding(0, 2, Entity.PERSON, 0.8, "test"),
    Finding(6, 17, Entity.CN_MOBILE, 1.0, "test"),
    Finding(20, 34, Entity.EMAIL, 1.0, "test"),
]


def act(text: str, findings: list[Finding], policy: PrivacyPolicy, language: str = "zh") -> Anonymised:
    tokens = {value: pseudonym(KEY, value) for value in to_pseudonymise(text, findings, policy)}
    return anonymise(text, findings, policy, tokens, language)


def test_each_action_does_what_it_is_called() -> None:
    policy = PrivacyPolicy(
        types={Entity.PERSON: Action.KEEP, Entity.CN_MOBILE: Action.PSEUDONYMISE, Entity.EMAIL: Action.DROP}
    )
    tokens = {Value(Entity.CN_MOBILE, "13800138000"): "12900000001"}

    done = anonymise(TEXT, FOUND, policy, tokens, "zh")

    assert done.text == "李明的手机是12900000001，邮箱。"
    assert done.counts == {Entity.CN_MOBILE: 1, Entity.EMAIL: 1}
    assert not done.quarantined_by


@pytest.mark.parametrize(("language", "text"), [("zh", "【姓名】的手机是"), ("en", "【name】的手机是")])
def test_a_mask_is_in_the_language_of_the_text(language: str, text: str) -> None:
    done = act(TEXT, FOUND, PrivacyPolicy(types={Entity.PERSON: Action.MASK}), language)

    assert done.text.startswith(text)


def test_what_quarantines_is_named_and_not_shown() -> None:
    done = act(TEXT, FOUND, PrivacyPolicy(types={Entity.CN_MOBILE: Action.QUARANTINE}))

    assert done.quarantined_by == {Entity.CN_MOBILE}
    assert "13800138000" not in done.text


def test_places_follow_the_text() -> None:
    policy = PrivacyPolicy(types={Entity.PERSON: Action.MASK, Entity.CN_MOBILE: Action.MASK, Entity.EMAIL: Action.DROP})

    done = act(TEXT, FOUND, policy)

    assert done.text == "【姓名】的手机是【手机号】，邮箱。"
    assert done.span(0, 0) == (0, 0)
    assert done.span(0, 2) == (0, 4)
    assert done.span(2, 6) == (4, 8)
    assert done.span(6, 17) == (8, 13)
    assert done.span(9, 12) == (8, 13)
    assert done.span(1, 10) == (0, 13)
    assert done.span(18, 20) == (14, 16)
    assert done.span(20, 34) == (16, 16)
    assert done.span(34, 35) == (16, 17)
    assert done.span(0, len(TEXT)) == (0, len(done.text))


@pytest.mark.parametrize("action", [Action.MASK, Action.PSEUDONYMISE])
@pytest.mark.parametrize("entity", [Entity.PERSON, Entity.EMAIL])
def test_a_mask_or_a_token_that_is_found_stays(entity: Entity, action: Action) -> None:
    policy = PrivacyPolicy(types={entity: action})
    once = act(TEXT, FOUND, policy)
    start, end = next(once.span(f.start, f.end) for f in FOUND if f.type is entity)

    assert act(once.text, [Finding(start, end, entity, 0.8, "test")], policy).text == once.text


def test_what_reaches_out_of_a_token_is_replaced() -> None:
    policy = PrivacyPolicy(types={Entity.PERSON: Action.PSEUDONYMISE})
    once = act("李明", [FOUND[0]], policy).text + "张三"

    assert "张三" not in act(once, [Finding(0, len(once), Entity.PERSON, 0.8, "test")], policy).text


def test_findings_that_overlap_are_refused() -> None:
    crossing = [Finding(0, 4, Entity.PERSON, 0.8, "test"), Finding(2, 6, Entity.EMAIL, 0.8, "test")]

    with pytest.raises(ValueError, match="overlap"):
        act(TEXT, crossing, PRESETS[Preset.STRICT])


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_a_number_is_left_in_any_form(form: Form) -> None:
    # Without names, so that no model is loaded.
    types = frozenset(Entity) - {Entity.PERSON, Entity.LOCATION, Entity.ORGANIZATION, Entity.ADDRESS}
    policy = PrivacyPolicy(
        classes={Sensitivity.SENSITIVE: Action.PSEUDONYMISE, Sensitivity.PERSONAL: Action.PSEUDONYMISE},
        types={Entity.CN_USCC: Action.PSEUDONYMISE},
    )
    for item in structured(5, 11, form):
        found = Analyzer(types).find(item.text, "zh")
        done = act(item.text, found, policy)
        for span in item.spans:
            if span.type in types:
                assert item.text[span.start : span.end] not in done.text
