"""Words for numbers, scales, units, currencies and months in English, Portuguese and Spanish."""

from collections.abc import Mapping


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def _table(text: str) -> dict[str, float]:
    pairs = (one.split(":") for one in text.split())
    return {name: float(value) for names, value in pairs for name in names.split("|")}


WORDS: Mapping[str, dict[str, float]] = {
    "en": _table(
        "zero:0 two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12"
        " thirteen:13 fourteen:14 fifteen:15 sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20"
        " thirty:30 forty:40 fifty:50 sixty:60 seventy:70 eighty:80 ninety:90 hundred:100"
        " thousand:1e3 million|millions:1e6 billion|billions:1e9 trillion|trillions:1e12 dozen:12 twice:2"
    ),
    "pt": _table(
        "zero:0 dois|duas:2 três|tres:3 quatro:4 cinco:5 seis:6 sete:7 oito:8 nove:9 dez:10 onze:11 doze:12"
        " treze:13 quatorze|catorze:14 quinze:15 dezesseis|dezasseis:16 dezessete|dezassete:17 dezoito:18"
        " dezenove|dezanove:19 vinte:20 trinta:30 quarenta:40 cinquenta:50 sessenta:60 setenta:70 oitenta:80"
        " noventa:90 cem|cento:100 duzentos|duzentas:200 trezentos|trezentas:300"
        " quatrocentos|quatrocentas:400"
        " quinhentos|quinhentas:500 seiscentos|seiscentas:600 setecentos|setecentas:700"
        " oitocentos|oitocentas:800 novecentos|novecentas:900 mil:1e3 milhão|milhões|milhao|milhoes:1e6"
        " bilhão|bilhões|bilhao|bilhoes|mil_milhões:1e9 trilhão|trilhões:1e12 dúzia:12"
    ),
    "es": _table(
        "cero:0 dos:2 tres:3 cuatro:4 cinco:5 seis:6 siete:7 ocho:8 nueve:9 diez:10 once:11 doce:12 trece:13"
        " catorce:14 quince:15 dieciséis|dieciseis:16 diecisiete:17 dieciocho:18 diecinueve:19 veinte:20"
        " veintiuno|veintiún:21 veintidós:22 veintitrés:23 veinticuatro:24 veinticinco:25 veintiséis:26"
        " veintisiete:27 veintiocho:28 veintinueve:29 treinta:30 cuarenta:40 cincuenta:50 sesenta:60"
        " setenta:70 ochenta:80 noventa:90 cien|ciento:100 doscientos|doscientas:200"
        " trescientos|trescientas:300 cuatrocientos|cuatrocientas:400 quinientos|quinientas:500"
        " seiscientos|seiscientas:600 setecientos|setecientas:700 ochocientos|ochocientas:800"
        " novecientos|novecientas:900 mil:1e3 millón|millones|millon:1e6 billón|billones:1e12 docena:12"
        " veintiuna:21"
    ),
}
JOINED = {"en": {"and"}, "pt": {"e"}, "es": {"y"}}
SCALES = _table(
    "thousand|mil|k:1e3 million|millions|milhão|milhões|millón|millones|mi|mm|mio:1e6"
    " billion|billions|bilhão|bilhões|bi|bn:1e9 trillion|trillions|trilhão|trilhões|billón|billones:1e12"
)
UNITS: dict[str, tuple[str, float]] = {
    name: (kind, float(factor))
    for kind, text in {
        "m": """mm|milímetros|milímetro|millimeters|millimetres|milimetros:0.001
            cm|centímetros|centímetro|centimeters|centimetres|centimeter:0.01
            m|metro|metros|meter|meters|metre|metres:1
            km|quilômetros|quilômetro|quilómetros|quilometros|kilómetros|kilómetro|kilometers|kilometres|kilometer|kms:1000
            ft|foot|feet|pés|pies:0.3048 inch|inches|polegadas|pulgadas:0.0254
            mile|miles|mi.|milhas|millas:1609.344 yards|yard|jardas|yardas:0.9144""",
        "g": """mg|miligramas|miligramos|milligrams:0.001 g|grama|gramas|gramo|gramos|gram|grams:1
            kg|quilo|quilos|quilogramas|kilo|kilos|kilogramos|kilograms|kilogram|kgs:1000
            t|ton|tons|tonne|tonnes|tonelada|toneladas:1e6 lb|lbs|pound|pounds|libras:453.592
            oz|ounces:28.3495""",
        "s": """ms|milissegundos|milisegundos|milliseconds:0.001
            s|seg|segundo|segundos|sec|secs|second|seconds:1 min|mins|minuto|minutos|minute|minutes:60
            h|hora|horas|hour|hours|hr|hrs:3600 dia|dias|día|días|day|days:86400
            semana|semanas|week|weeks:604800 mês|meses|mes|month|months:2629800
            ano|anos|año|años|year|years:31557600 década|décadas|decade|decades:315576000
            século|séculos|siglo|siglos|century|centuries:3155760000""",
        "m2": """m²|m2|m²:1 km²|km2:1e6 ha|hectare|hectares|hectárea|hectáreas:1e4 acre|acres:4046.86""",
        "l": """ml|mililitros|milliliters:0.001 l|litro|litros|liter|liters|litre|litres:1
            gallons|gallon:3.785""",
        "b": """kb|kilobytes:1e3 mb|megabytes:1e6 gb|gigabytes:1e9 tb|terabytes:1e12 bytes|byte:1""",
        "m/s": "km/h|kmh|kph:0.27778 mph:0.44704 m/s:1",
        "c": "°c|ºc|celsius:1", "f": "°f|ºf|fahrenheit:1", "w": "w:1 kw:1e3 mw:1e6",
        "%": "%|percent|per_cent|porcento|por_cento|por_ciento:1",
        "¢": "cent|cents|centavo|centavos|céntimo|céntimos|centimos:1",
        "usd": "dollars|dollar|dólares|dólar|usd:1", "eur": "euros|euro|eur:1",
        "brl": "reais|real|brl:1", "gbp": "pounds_sterling|gbp:1", "mxn": "mxn:1",
    }.items()
    for names, factor in (one.split(":") for one in text.split())
    for name in names.split("|")
}  # fmt: skip
_PREFIXES = {
    "": 1.0, "mili": 1e-3, "milli": 1e-3, "centi": 1e-2, "deci": 0.1, "quilo": 1e3, "kilo": 1e3,
    "quiló": 1e3, "kiló": 1e3, "hecto": 100.0, "mega": 1e6, "giga": 1e9, "tera": 1e12,
}  # fmt: skip
_BASES = {
    "metro": ("m", 1.0), "meter": ("m", 1.0), "metre": ("m", 1.0), "grama": ("g", 1.0), "gramo": ("g", 1.0),
    "gram": ("g", 1.0), "gramme": ("g", 1.0), "litro": ("l", 1.0), "liter": ("l", 1.0), "litre": ("l", 1.0),
    "watt": ("w", 1.0), "vatio": ("w", 1.0), "byte": ("b", 1.0), "segundo": ("s", 1.0), "second": ("s", 1.0),
}  # fmt: skip
for _prefix, _times in _PREFIXES.items():
    for _base, (_kind, _size) in _BASES.items():
        for _ending in ("", "s"):
            UNITS.setdefault(f"{_prefix}{_base}{_ending}", (_kind, _times * _size))
for _name, _kind in (("metros", "m"), ("metres", "m"), ("meters", "m")):
    for _square in ("cuadrados", "quadrados", "square"):
        UNITS[f"{_square}_{_name}" if _square == "square" else f"{_name}_{_square}"] = ("m2", 1.0)
for _name in ("quilômetros", "quilometros", "kilómetros", "kilometros", "kilometers", "kilometres"):
    for _per in ("por_hora", "per_hour", "an_hour"):
        UNITS[f"{_name}_{_per}"] = ("m/s", 0.27778)
UNITS["miles_per_hour"] = UNITS["miles_an_hour"] = ("m/s", 0.44704)
UNITS["fortnight"] = UNITS["quinzena"] = UNITS["quincena"] = ("s", 1_209_600.0)
MONEY = {
    "us$": "usd", "u$": "usd", "$": "usd", "r$": "brl", "€": "eur", "£": "gbp",
    "eur": "eur", "usd": "usd", "brl": "brl", "gbp": "gbp",
}  # fmt: skip
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january janeiro enero jan ene", "february fevereiro febrero feb fev", "march março marzo",
            "april abril apr abr", "may maio mayo", "june junho junio jun", "july julho julio jul",
            "august agosto aug ago", "september setembro septiembre setiembre sep sept",
            "october outubro octubre oct", "november novembro noviembre nov",
            "december dezembro diciembre dec dez dic",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
