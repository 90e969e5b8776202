"""What a policy does with each type, and when two policies are one."""

import pytest
from pydantic import ValidationError

from zhiku_platform.privacy import Entity, Sensitivity
from zhiku_platform.privacy.policy import PRESETS, Action, Preset, PrivacyPolicy


def test_a_type_beats_its_class() -> None:
    policy = PrivacyPolicy(classes={Sensitivity.PERSONAL: Action.MASK}, types={Entity.EMAIL: Action.KEEP})

    assert policy.action_for(Entity.EMAIL) is Action.KEEP
    assert policy.action_for(Entity.PERSON) is Action.MASK
    assert policy.action_for(Entity.CN_ID_CARD) is Action.KEEP


def test_a_type_without_an_action_takes_the_stricter_of_parent_and_class() -> None:
    policy = PrivacyPolicy(
        classes={Sensitivity.SENSITIVE: Action.DROP},
        types={Entity.PHONE_NUMBER: Action.MASK, Entity.LOCATION: Action.KEEP, Entity.CREDIT_CARD: Action.KEEP},
    )

    assert policy.action_for(Entity.CN_MOBILE) is Action.MASK
    assert policy.action_for(Entity.ADDRESS) is Action.DROP
    assert policy.action_for(Entity.CN_BANK_CARD) is Action.DROP


def test_policies_that_do_the_same_have_one_digest() -> None:
    by_class = PrivacyPolicy(classes={Sensitivity.PUBLIC: Action.MASK})
    by_type = PrivacyPolicy(types=dict.fromkeys([Entity.CN_USCC, Entity.LOCATION, Entity.ORGANIZATION], Action.MASK))
    other = PrivacyPolicy(classes={Sensitivity.PUBLIC: Action.DROP})

    assert by_class.digest == PrivacyPolicy.model_validate_json(by_class.model_dump_json()).digest
    assert other.digest != by_class.digest
    # A place that is masked masks its child too, which the class alone would not.
    assert by_type.digest == by_class.model_copy(update={"types": {Entity.LOCATION: Action.MASK}}).digest


def test_a_policy_says_which_types_another_treats_more_mildly() -> None:
    strict, secrets = PRESETS[Preset.STRICT], PRESETS[Preset.SECRETS]

    assert secrets.weakened_by(strict) == frozenset()
    assert Entity.SECRET in strict.weakened_by(secrets)
    assert Entity.CN_ID_CARD in strict.weakened_by(secrets)
    assert Entity.ORGANIZATION not in strict.weakened_by(secrets)


def test_only_what_is_acted_on_is_looked_for() -> None:
    assert PRESETS[Preset.NONE].entities == frozenset()
    assert PRESETS[Preset.SECRETS].entities == {Entity.SECRET}
    assert frozenset(Entity) - PRESETS[Preset.STRICT].entities == {
        Entity.CN_USCC,
        Entity.LOCATION,
        Entity.ORGANIZATION,
    }


@pytest.mark.parametrize(
    "wrong", ['{"types": {"NOBODY": "mask"}}', '{"classes": {"personal": "blur"}}', '{"type": {"EMAIL": "mask"}}']
)
def test_a_policy_that_names_nothing_known_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        PrivacyPolicy.model_validate_json(wrong)
