"""Requests made of the OpenAPI document: no answer of 500 and more, none that the document does not allow."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pipeline.serve import make_app


def not_a_failure(response):
    assert response.status_code < 500, response.text


@pytest.fixture(scope="module")
def document(region, tmp_path_factory):
    web = tmp_path_factory.mktemp("openapi")
    return schemathesis.openapi.from_asgi("/api", make_app({"alps": region.url}, web=web))


CHECKED = [content_type_conformance, response_schema_conformance, status_code_conformance]
BOUNDED = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def check(case):
    # Most requests ask for an archive that is there.
    if "archive_id" in case.path_parameters and len(case.path_parameters["archive_id"]) % 4:
        case.path_parameters["archive_id"] = "alps"
    response = case.call()
    not_a_failure(response)
    case.validate_response(response, checks=CHECKED)


def checked(operation):
    """Return a test of an operation: a function of its own, which hypothesis marks."""

    @given(operation.as_strategy())
    def run(case):
        check(case)

    return run


# What geojson-pydantic says of a bbox that crosses the antimeridian, and of collections: all of it is allowed.
@pytest.mark.filterwarnings("ignore:BBOX crossing:UserWarning")
@pytest.mark.filterwarnings("ignore:GeometryCollection should not:UserWarning")
@pytest.mark.parametrize("examples", [3, pytest.param(150, marks=pytest.mark.slow)])
def test_answers_are_those_of_the_document(document, examples):
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()
        settings(max_examples=examples, **BOUNDED)(checked(operation))()
        asked += 1
    assert asked > 20
