"""What a knowledge base does with each type of personal data."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum

import orjson
from pydantic import BaseModel, ConfigDict, Field

from zhiku_platform.privacy.findings import PARENTS, Entity, Sensitivity, sensitivity_of


class Action(StrEnum):
    """What is done with a finding, the mildest first."""

    KEEP = "keep"
    PSEUDONYMISE = "pseudonymise"
    """Put a token in its place, the same one everywhere in the knowledge base."""
    MASK = "mask"
    """Put the name of its type in its place."""
    DROP = "drop"
    """Put nothing in its place."""
    QUARANTINE = "quarantine"
    """Take nothing of the document into the knowledge base until a person has looked at it."""


_MILDEST_FIRST = tuple(Action)


class PrivacyPolicy(BaseModel):
    """The action for each type: its own, else the stricter of its parent's and of its class's.

    A class that is not named is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: Mapping[Sensitivity, Action] = Field(default_factory=dict)
    types: Mapping[Entity, Action] = Field(default_factory=dict)

    def action_for(self, entity: Entity) -> Action:
        """What is done with findings of a type."""
        if (own := self.types.get(entity)) is not None:
            return own
        of_class = self.classes.get(sensitivity_of(entity), Action.KEEP)
        parent = PARENTS.get(entity)
        of_parent = Action.KEEP if parent is None else self.types.get(parent, Action.KEEP)
        return max(of_class, of_parent, key=_MILDEST_FIRST.index)

    @property
    def entities(self) -> frozenset[Entity]:
        """The types to look for. Looking for others too could hide one of these behind a surer finding that is kept."""
        return frozenset(entity for entity in Entity if self.action_for(entity) is not Action.KEEP)

    @property
    def digest(self) -> str:
        """SHA-256 in hex of what is done with every type: policies that do the same have the same digest."""
        actions = {entity.value: self.action_for(entity).value for entity in Entity}
        return hashlib.sha256(orjson.dumps(actions, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def weakened_by(self, other: "PrivacyPolicy") -> frozenset[Entity]:
        """The types that `other` treats more mildly."""
        rank = _MILDEST_FIRST.index
        return frozenset(e for e in Entity if rank(other.action_for(e)) < rank(self.action_for(e)))


class Preset(StrEnum):
    """Policies with a name."""

    NONE = "none"
    SECRETS = "secrets"
    STRICT = "strict"


PRESETS: Mapping[Preset, PrivacyPolicy] = {
    Preset.NONE: PrivacyPolicy(),
    Preset.SECRETS: PrivacyPolicy(types={Entity.SECRET: Action.MASK}),
    Preset.STRICT: PrivacyPolicy(
        classes={Sensitivity.SENSITIVE: Action.PSEUDONYMISE, Sensitivity.PERSONAL: Action.PSEUDONYMISE},
        types={Entity.SECRET: Action.DROP, Entity.HEALTH: Action.MASK},
    ),
}
"""`strict` keeps only what identifies nobody by itself: organisations, places, credit codes."""
