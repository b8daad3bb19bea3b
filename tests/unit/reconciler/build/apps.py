"""Apps to build from: one for each way in which the desired objects differ."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jac_converge.config.load import App
from jac_converge.config.model import Settings
from jac_converge.reconciler.build.credentials import Credentials

CREDENTIALS = Credentials(
    jwt_secret="minted-jwt-secret",
    redis_password="minted-redis-password",
    mongodb_password="minted-mongodb-password",
)
IMAGE = "registry.example/shop:1.0"


def app_with(
    kubernetes: Mapping[str, Any] | None = None, *, name: str = "shop", **tables: Any
) -> App:
    """Make an app from tables of `[converge]`, with an image unless another one is given."""
    settings = Settings.model_validate(
        {"kubernetes": {"image": IMAGE, **(kubernetes or {})}, **tables}
    )
    return App(
        file=Path("/home/ann/shop/shop.jac"),
        name=name,
        namespace=f"{name}-prod",
        settings=settings,
        files=(Path("/home/ann/shop/jac.toml"),),
    )


APPS: Mapping[str, App] = {
    "defaults": app_with(),
    "everything": app_with(
        {
            "container_port": 9000,
            "image_pull_secrets": ["registry-login", "mirror-login"],
            "pre_stop_seconds": 20,
            "cpu_limit": "2",
            "env": {"LOG_LEVEL": "debug", "COLOUR": "blue"},
            "autoscaling": {
                "min_replicas": 2,
                "max_replicas": 10,
                "cpu_utilization_target": 60,
                "memory_utilization_target": 80,
                "scale_down_window_seconds": 120,
            },
            "redis": {"image": "valkey/valkey:8", "cpu": "1", "memory": "1Gi"},
            "mongodb": {"storage": "100Gi", "storage_class": "fast", "memory": "4Gi"},
            "exposure": {
                "kind": "ingress",
                "host": "shop.example",
                "tls_secret": "shop-tls",
                "class_name": "traefik",
                "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
            },
        },
        server={"drain_seconds": 120},
        jwt={"secret": "a-secret-that-was-given-by-the-user"},
        secrets={"STRIPE_KEY": "sk_live_1", "MAIL_PASSWORD": "correct horse"},
    ),
    "stores-given": app_with(
        {"replicas": 3, "autoscaling": {"enabled": False}},
        database={
            "mongodb_uri": "mongodb+srv://ann:given-1@mongo.example/shop",
            "redis_url": "rediss://:given-2@redis.example:6380/1",
        },
    ),
    "shelf": app_with(
        {
            "cpu_request": "",
            "memory_request": "",
            "memory_limit": "",
            "redis": {"enabled": False},
            "mongodb": {"enabled": False},
            "exposure": {"kind": "nodeport"},
        }
    ),
}
