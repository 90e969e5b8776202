"""No text comes in that a database cannot hold: PostgreSQL takes no zero byte, and SQLite would not tell."""

from collections.abc import Iterator
from typing import Any

from zhiku_services.embedded.openapi import document

CHECKED_BY_HAND = {
    # A form, whose fields the upload itself reads.
    "post /api/v1/knowledge-bases/{knowledge_base_id}/uploads path",
    "post /api/v1/knowledge-bases/{knowledge_base_id}/uploads readers",
}


def free_texts(
    schema: dict[str, Any], schemas: dict[str, Any], name: str = "", seen: tuple[str, ...] = ()
) -> Iterator[str]:
    """The fields that take any text at all."""
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference:
        if reference not in seen:
            yield from free_texts(schemas[reference], schemas, name, (*seen, reference))
        return
    for each in (part for kind in ("anyOf", "oneOf", "allOf") for part in schema.get(kind, ())):
        yield from free_texts(each, schemas, name, seen)
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "const", "format"}:
        yield name
    yield from free_texts(schema.get("items", {}), schemas, name, seen) if schema.get("items") else ()
    for field, each in schema.get("properties", {}).items():
        yield from free_texts(each, schemas, field, seen)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from free_texts(schema["additionalProperties"], schemas, f"{name}.*", seen)


def test_every_text_of_a_body_is_one_that_every_database_can_hold() -> None:
    described = document()
    schemas = described["components"]["schemas"]
    found = {
        f"{method} {path} {field}"
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for field in free_texts(content["schema"], schemas)
    }
    assert found == CHECKED_BY_HAND
