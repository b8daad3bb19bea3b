"""What pods read of jac.toml: all but what only `jac scale` reads."""

import tomllib

import pytest

from jac_converge.reconciler.image.pod_settings import for_pods

SERVER = "[converge.server]\nport = 9000\n"
SCALED = "[converge.kubernetes]\nreplicas = 2\n[converge.kubernetes.autoscaling]\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(SERVER + SCALED, {"converge": {"server": {"port": 9000}}}, id="below"),
        pytest.param(SCALED + SERVER, {"converge": {"server": {"port": 9000}}}, id="above"),
        pytest.param(SCALED, {"converge": {}}, id="nothing else"),
        pytest.param(
            '[converge.kubernetes]\napp_name = "shop"\nreplicas = 2\n[converge.watch]\n',
            {"converge": {"kubernetes": {"app_name": "shop"}}},
            id="the name of the app",
        ),
        pytest.param(
            "[project]\nname = 'a'\n[environments.prod.converge.kubernetes]\nreplicas = 3\n",
            {"project": {"name": "a"}, "environments": {"prod": {"converge": {}}}},
            id="of a profile",
        ),
        pytest.param(
            '[converge.secrets]\nKEY = "${KEY}"\n[plugins.scale.kubernetes]\nreplicas = 1\n',
            {"converge": {}, "plugins": {"scale": {"kubernetes": {"replicas": 1}}}},
            id="secrets",
        ),
    ],
)
def test_pods_read_what_serving_needs(text: str, left: dict[str, object]) -> None:
    """An edit of anything else makes no other image."""
    assert left == tomllib.loads(for_pods(text))
    assert for_pods(text) == for_pods(text.replace("replicas = 2", "replicas = 7"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[converge]\nkubernetes = { replicas = 2 }\n", id="inline"),
        pytest.param("converge.kubernetes.replicas = 2\n", id="dotted"),
        pytest.param('[a]\nb = """\n[converge.kubernetes]\n"""\n', id="in a text"),
        pytest.param("[converge\n", id="no TOML"),
    ],
)
def test_what_lines_cannot_tell_stays_as_it_is(text: str) -> None:
    """Rather one restart too many than settings that are lost."""
    assert text == for_pods(text)
