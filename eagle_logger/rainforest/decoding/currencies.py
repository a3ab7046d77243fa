"""ISO 4217: the codes of the currencies that a PriceCluster gives by number."""

from __future__ import annotations

_CODES = {
    32: "ARS", 36: "AUD", 44: "BSD", 52: "BBD", 60: "BMD", 84: "BZD", 124: "CAD", 136: "KYD",
    152: "CLP", 156: "CNY", 170: "COP", 188: "CRC", 191: "HRK", 203: "CZK", 208: "DKK", 214: "DOP",
    320: "GTQ", 340: "HNL", 344: "HKD", 348: "HUF", 352: "ISK", 356: "INR", 360: "IDR", 376: "ILS",
    388: "JMD", 392: "JPY", 410: "KRW", 458: "MYR", 484: "MXN", 554: "NZD", 578: "NOK", 590: "PAB",
    600: "PYG", 604: "PEN", 608: "PHP", 643: "RUB", 682: "SAR", 702: "SGD", 704: "VND", 710: "ZAR",
    752: "SEK", 756: "CHF", 764: "THB", 780: "TTD", 784: "AED", 826: "GBP", 840: "USD", 858: "UYU",
    901: "TWD", 946: "RON", 949: "TRY", 975: "BGN", 978: "EUR", 980: "UAH", 985: "PLN", 986: "BRL",
}  # fmt: skip


def currency_code(number: int) -> str | None:
    """`USD` for 840. A number that is not in the table comes back in three digits; None is returned
    for what is no ISO number, such as 0xffff, which gateways send for an unknown currency."""
    return _CODES.get(number) or (f"{number:03d}" if 0 < number < 1000 else None)
