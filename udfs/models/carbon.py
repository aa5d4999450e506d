"""What a kilowatt-hour emits where it is used: grams of CO₂ equivalent, the mean of a year."""

from __future__ import annotations

from dataclasses import dataclass

from ...engine.settings import Country

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class CarbonIntensity:
    """Operational emissions of electricity.

    Parameters
    ----------
    grams_per_kwh : CO₂ equivalent. source : who says so, and for when.
    """

    grams_per_kwh: float
    source: str

    def grams(self, joules: float) -> float:
        """What so much energy emits.

        >>> CarbonIntensity(480.0, "test").grams(3.6e6)
        480.0
        """
        return joules * self.grams_per_kwh / JOULES_PER_KWH


# Means of 2023, from Ember and the Energy Institute as published by Our World in Data ("Carbon intensity of electricity");
# the world's from Ember, Global Electricity Review 2024. They do not know the hour, nor what a provider buys.
_YEAR = 2023
GRAMS_PER_KWH: dict[Country, int] = {
    "world": 480, "AU": 549, "BR": 98, "CA": 170, "CH": 35, "CN": 582, "DE": 381, "ES": 174, "FR": 56, "GB": 238, "IE": 291,
    "IN": 713, "IT": 331, "JP": 485, "KR": 431, "NL": 268, "NO": 30, "PL": 662, "SE": 41, "SG": 471, "US": 369, "ZA": 708,
}  # fmt: skip


def carbon_intensity(region: Country, grams_per_kwh: float | None) -> CarbonIntensity:
    """What holds under the settings ``llm_carbon_region`` and, before it, ``llm_carbon_g_per_kwh``.

    >>> carbon_intensity("FR", None)
    CarbonIntensity(grams_per_kwh=56.0, source='Our World in Data, FR 2023')
    >>> carbon_intensity("FR", 12.5).source
    'SET llm_carbon_g_per_kwh'
    """
    if grams_per_kwh is not None:
        return CarbonIntensity(grams_per_kwh, "SET llm_carbon_g_per_kwh")
    who = "Ember" if region == "world" else "Our World in Data"
    return CarbonIntensity(float(GRAMS_PER_KWH[region]), f"{who}, {region} {_YEAR}")
