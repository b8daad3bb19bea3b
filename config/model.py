"""The typed `[converge]` table of jac.toml.

One frozen model per table; every field carries its meaning, its unit, and why it has its default.
An unknown key is an error. This module reads nothing: `load.py` is the only reader of disk and
environment. It changes when a key is added to jac.toml, and for no other reason.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from jac_converge.config.ignore import IgnoreRule, parse_rule
from jac_converge.config.mail import MailSettings
from jac_converge.config.quantity import CpuQuantity, MemoryQuantity
from jac_converge.config.rules import broken_rules
from jac_converge.config.server import ServerSettings
from jac_converge.config.spelling import (
    Annotation,
    AppName,
    BaseImage,
    EnvName,
    Given,
    Host,
    IgnoreLine,
    Image,
    ManifestPattern,
    MongodbUri,
    Namespace,
    ObjectName,
    Percent,
    Port,
    RedisUrl,
    Repository,
    SourcePattern,
    Whole,
)
from jac_converge.config.sso import Providers, SsoSettings
from jac_converge.config.storage import StorageSettings
from jac_converge.config.table import TABLE
from jac_converge.config.webhooks import Webhooks, WebhookSettings

__all__ = [
    "AutoscalingSettings",
    "DatabaseSettings",
    "ExposureSettings",
    "ImageBuildSettings",
    "JwtSettings",
    "KubernetesSettings",
    "MongodbSettings",
    "RedisSettings",
    "ServerSettings",
    "Settings",
    "SsoSettings",
    "StorageSettings",
    "WatchSettings",
    "WebhookSettings",
]


class _Table(BaseModel):
    model_config = TABLE


class DatabaseSettings(_Table):
    """`[converge.database]`: where documents live, and what caches them."""

    mongodb_uri: Given[MongodbUri] = None
    """MongoDB to keep documents in (environment: MONGODB_URI). Without it: the shelf."""

    redis_url: Given[RedisUrl] = None
    """Redis to cache MongoDB's documents in (environment: REDIS_URL). Without it: no cache."""

    redis_default_ttl: Whole[Annotated[int, Field(ge=1, le=30 * 86400)]] = 3600
    """Seconds that an unread copy stays in Redis. Bounds its size only: copies are never stale."""

    shelf_db_path: Annotated[str, Field(min_length=1)] = ".jac/converge/shelf.db"
    """File of the embedded shelf, relative to jac.toml (or to app.jac, where there is none)."""

    guest_ttl_seconds: Whole[Annotated[int, Field(ge=0)]] = 0
    """Age, in seconds, at which `--collect` removes nodes of anonymous callers; 0: never."""


class JwtSettings(_Table):
    """`[converge.jwt]`: how tokens are signed, and how long a login lasts."""

    secret: Given[SecretStr] = None
    """Signing secret, at least 32 bytes (environment: JWT_SECRET). Minted once when not given."""

    algorithm: Literal["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"] = "HS256"
    """Signature algorithm of new tokens. The keys of the last three are published at
    `/.well-known/jwks.json`; those of ES256 and EdDSA follow from `secret` by default."""

    private_key: Given[SecretStr] = None
    """PEM of the key that signs, for RS256 (which needs one), ES256 (P-256) or EdDSA (Ed25519)."""

    previous_secrets: tuple[SecretStr, ...] = ()
    """Secrets, and keys in PEM, that signed before: what they signed stays valid until it expires,
    so that a new secret logs nobody out."""

    issuer: Annotated[str, Field(min_length=1)] = "jac-converge"
    """`iss` of every token, and the only one accepted."""

    audience: Given[str] = None
    """`aud` of every token, and the only one accepted. Default: the app's name."""

    leeway_seconds: Whole[Annotated[int, Field(ge=0, le=300)]] = 5
    """Seconds that the clocks of two machines may differ."""

    access_token_seconds: Whole[Annotated[int, Field(ge=60)]] = 3600
    """Lifetime of an access token, in seconds. A logout ends it at once; this bounds a theft that
    nobody notices."""

    refresh_token_seconds: Whole[Annotated[int, Field(ge=60)]] = 14 * 86400
    """Seconds without a refresh after which a login ends."""

    session_seconds: Whole[Annotated[int, Field(ge=60)]] = 90 * 86400
    """Seconds after which a login ends in any case."""


class AutoscalingSettings(_Table):
    """`[converge.kubernetes.autoscaling]`: when it is there, the cluster decides the replicas."""

    enabled: bool = True
    """Off keeps the table but scales to `replicas` by hand."""

    min_replicas: Whole[Annotated[int, Field(ge=1, le=1000)]] = 1
    """Fewest app pods."""

    max_replicas: Whole[Annotated[int, Field(ge=1, le=1000)]] = 5
    """Most app pods."""

    cpu_utilization_target: Given[Percent] = 70
    """Percent of the CPU request that pods should use on average. 70 when no target is given."""

    memory_utilization_target: Given[Percent] = None
    """Percent of the memory request that pods should use on average."""

    scale_down_window_seconds: Whole[Annotated[int, Field(ge=0, le=3600)]] = 300
    """Seconds that load must stay low before pods go, so that a short lull costs nothing."""

    @model_validator(mode="before")
    @classmethod
    def _memory_alone(cls, table: Any) -> Any:
        """Scale on memory alone when it is the only target given: TOML cannot say `cpu = none`."""
        if isinstance(table, dict) and table.get("memory_utilization_target"):
            return {"cpu_utilization_target": None} | table
        return table


class RedisSettings(_Table):
    """`[converge.kubernetes.redis]`: the Redis we run; off when `redis_url` is given."""

    enabled: bool = True
    """Run a Redis beside the app."""

    image: Image = "redis:8"
    """Container image."""

    cpu: CpuQuantity = "50m"
    """CPU request."""

    memory: MemoryQuantity = "256Mi"
    """Memory request and limit; three quarters of it become `maxmemory`."""


class MongodbSettings(_Table):
    """`[converge.kubernetes.mongodb]`: the MongoDB we run; off when `mongodb_uri` is given."""

    enabled: bool = True
    """Run a MongoDB beside the app."""

    image: Image = "mongo:8.0"
    """Container image."""

    storage: MemoryQuantity = "8Gi"
    """Size of the data volume; it may grow, and does so live, but never shrinks."""

    storage_class: Given[str] = None
    """StorageClass of the data volume; the cluster's default when not given."""

    cpu: CpuQuantity = "100m"
    """CPU request."""

    memory: MemoryQuantity = "1Gi"
    """Memory request and limit."""


class ExposureSettings(_Table):
    """`[converge.kubernetes.exposure]`: how the app is reached from outside the cluster."""

    kind: Literal["none", "nodeport", "loadbalancer", "ingress", "gateway"] = "none"
    """none: by port-forward only, so that nothing is public unasked; or a NodePort, a load
    balancer, an Ingress, or a route of the Gateway API."""

    host: Given[Host] = None
    """Host name that an Ingress or Gateway answers to; none: any."""

    tls_secret: Given[ObjectName] = None
    """Secret with the certificate of `host`, for an Ingress. A Gateway has its own."""

    class_name: Given[ObjectName] = None
    """Class of the Ingress; none: the cluster's default one."""

    annotations: dict[Annotation, str] = {}
    """Annotations of what is reached: Service (NodePort, LoadBalancer), Ingress, route."""

    node_port: Given[Port] = None
    """Port on every node; none: the cluster picks one, usually of 30000-32767."""

    gateway: Given[ObjectName] = None
    """Name of the Gateway that the route attaches to."""

    gateway_namespace: Given[Namespace] = None
    """Namespace of that Gateway; none: the app's own."""


class ImageBuildSettings(_Table):
    """`[converge.kubernetes.image_build]`: how the image is built where none is given."""

    builder: Literal["builtin", "docker", "podman", "buildah"] = "builtin"
    """builtin needs no other program; the others build the `Dockerfile` beside jac.toml."""

    repository: Given[Repository] = None
    """Where the image is pushed to. Without it, it is loaded into a cluster of this machine."""

    base: Given[BaseImage] = None
    """Image below, by reference, or as an OCI layout (folder or tar) by a path such as
    `./base.tar`. Default: the official slim one of the Python that runs `jac scale`."""

    platform: Given[Literal["linux/amd64", "linux/arm64"]] = None
    """Of the cluster's nodes. Default: for a cluster of this machine, its own; else linux/amd64."""

    runtime: Given[Image] = None
    """Image that runs `jac serve` and has what the app imports, for where a built one has no place:
    no repository is named, and the cluster is none of this machine. The app's own files then go
    into the cluster in ConfigMaps, and are unpacked over this image."""

    exclude: tuple[SourcePattern, ...] = ()
    """Files and folders of the app that stay out, as in a .gitignore: `*.pem`, `data/`,
    `docs/*.md`, `conf/**/*.key`. With another builder: a .dockerignore."""

    plain_http: bool = False
    """Speak to the registry of `repository` without TLS; on the loopback that is so anyway."""


class KubernetesSettings(_Table):
    """`[converge.kubernetes]`: the app on the cluster."""

    app_name: Given[AppName] = None
    """Name of the app, prefix of all its objects. Default: `[project] name`, else the file name."""

    namespace: Given[Namespace] = None
    """Namespace for everything; default: the app's name. Created, and owned, if it is not there."""

    context: Given[str] = None
    """Context of the kubeconfig; default: its current one, pinned when the command starts."""

    image: Given[Image] = None
    """Image that runs `jac serve` on this app; without it, `jac scale` builds one."""

    image_pull_secrets: tuple[ObjectName, ...] = ()
    """Secrets of the namespace with logins to registries, for every pod."""

    replicas: Whole[Annotated[int, Field(ge=0, le=1000)]] = 1
    """App pods, when autoscaling is off."""

    container_port: Port = 8000
    """Port the app listens on inside its pod."""

    cpu_request: Given[CpuQuantity] = "100m"
    """CPU a pod is promised; autoscaling on CPU measures against it."""

    cpu_limit: Given[CpuQuantity] = None
    """CPU a pod may use at most. None: a limit throttles even an idle node's spare time."""

    memory_request: Given[MemoryQuantity] = "256Mi"
    """Memory a pod is promised."""

    memory_limit: Given[MemoryQuantity] = "512Mi"
    """Memory at which a pod is killed."""

    pre_stop_seconds: Whole[Annotated[int, Field(ge=1, le=300)]] = 5
    """Seconds that a leaving pod goes on taking requests, until whoever sends them has heard. 5 is
    enough inside a cluster; a cloud's load balancer that sends to pods directly needs 15 to 30."""

    env: dict[EnvName, str] = {}
    """Extra plain environment variables of the app's container."""

    rollback: bool = True
    """Return to the last good release when a roll-out fails; it stays until jac.toml changes."""

    network_policies: bool = True
    """Close every pod to all traffic but its own. Takes effect where the cluster's network can."""

    extra: tuple[ManifestPattern, ...] = ()
    """Manifests of your own, applied after the app's: YAML files, relative to jac.toml."""

    image_build: ImageBuildSettings = ImageBuildSettings()
    """`[converge.kubernetes.image_build]`."""

    exposure: ExposureSettings = ExposureSettings()
    """`[converge.kubernetes.exposure]`."""

    autoscaling: AutoscalingSettings | None = None
    """`[converge.kubernetes.autoscaling]`; absent: a fixed number of replicas."""

    redis: RedisSettings = RedisSettings()
    """`[converge.kubernetes.redis]`."""

    mongodb: MongodbSettings = MongodbSettings()
    """`[converge.kubernetes.mongodb]`."""


class WatchSettings(_Table):
    """`[converge.watch]`: what `jac scale --watch` does about drift."""

    mode: Literal["heal", "warn", "off"] = "heal"
    """heal: put it back; warn: report it only; off: neither."""

    ignore: tuple[IgnoreLine, ...] = ()
    """Fields left to others: `Kind/name:field.path`, for one of them with ` manager=NAME`."""

    resync_seconds: Whole[Annotated[int, Field(ge=30)]] = 300
    """Seconds between two complete comparisons with the cluster, however quiet the watches."""

    @property
    def ignored(self) -> tuple[IgnoreRule, ...]:
        """The lines of `ignore`, read."""
        return tuple(map(parse_rule, self.ignore))


class Settings(_Table):
    """Everything jac.toml, its profile, the environment and the flags say, resolved and checked."""

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    jwt: JwtSettings = JwtSettings()
    sso: Providers = {}
    """`[converge.sso.NAME]`."""
    webhooks: Webhooks = {}
    """`[converge.webhooks.NAME]`."""
    mail: MailSettings = MailSettings()
    storage: StorageSettings = StorageSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    watch: WatchSettings = WatchSettings()
    secrets: dict[EnvName, SecretStr] = {}
    """`[converge.secrets]`: the app's secret environment, kept in a Secret of the cluster.

    `NAME = "value"`; in a file that others read, `NAME = "${NAME}"`.
    """

    on_conflict: Literal["retry", "fail"] = "retry"
    """jaclang's `[serve] on_conflict`: replay a walker whose commit conflicted, or answer 409."""

    conflict_max_attempts: Whole[Annotated[int, Field(ge=1, le=100)]] = 5
    """jaclang's `[serve] conflict_max_attempts`: runs of one walker before the 409."""

    @model_validator(mode="after")
    def _obeys_rules(self) -> Self:
        """Report every broken rule at once; `load.py` turns each into a problem of its own."""
        broken = tuple(broken_rules(self))
        if broken:
            text = "; ".join(f"{'.'.join(map(str, rule.key))} {rule.message}" for rule in broken)
            raise PydanticCustomError("rules", "{text}", {"text": text, "broken": broken})
        return self
