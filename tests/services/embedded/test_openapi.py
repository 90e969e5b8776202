"""The public API is one: what the services answer, what the gateway lets through, what the portal calls."""

from pathlib import Path

from zhiku_services.embedded.openapi import public_routes, render
from zhiku_services.gateway.routes import router as gateway
from zhiku_services.gateway.routing import proxied_routes

ROOT = Path(__file__).parents[3]


def test_the_portal_was_generated_from_the_api_as_it_is() -> None:
    description = ROOT / "services" / "portal" / "openapi.json"
    assert description.read_text(encoding="utf-8").strip() == render(), (
        "run `zhiku openapi -o services/portal/openapi.json` and `npm --prefix services/portal run api`"
    )


def test_the_gateway_lets_through_what_the_services_answer_and_nothing_else() -> None:
    answered = {
        (method, route.path)
        for route in public_routes()
        if route not in gateway.routes
        for method in route.methods or ()
    }
    assert {(route.method, route.path) for route in proxied_routes()} == answered
