"""Faults of Spanish on both sides of the ocean; what one side allows is left alone."""

from greenroom.stages.postprocess.grammar.rules import rule

_TIME = r"(?:días?|semanas?|mes(?:es)?|años?|horas?|minutos?|siglos?|décadas?)"
_NUMBER = r"(?:\d{1,4}|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|quince|veinte|treinta|muchos|varios|algunos|unos)"
_MANY = (
    r"(?:much[oa]s|vari[oa]s|algun[oa]s|poc[oa]s|tant[oa]s|dos|tres|cuatro|cinco|personas|problemas|errores)"
)
_PARTICIPLES = "hecho|dicho|visto|puesto|escrito|sido|tenido|podido|llegado|pagado|enviado|recibido|comprado|leído|ido|comido|usado|dado|estado"
_TONIC_A = "agua|águila|aula|área|alma|hambre|ala|arca|hacha"
"""Without those that are verbs too: «la habla» may be said of a language."""
_MASCULINE = "problema|sistema|día|mapa|idioma|clima|planeta|poema|dilema|síntoma"

_JOINED = {
    "enserio": "en serio", "osea": "o sea", "asique": "así que", "aveces": "a veces", "porfavor": "por favor",
    "derrepente": "de repente", "nosé": "no sé", "talvéz": "tal vez", "amenudo": "a menudo",
    "apartir": "a partir", "envez": "en vez",
}  # fmt: skip
_WRITTEN = {
    "fué": "fue", "fuí": "fui", "dió": "dio", "vió": "vio", "tí": "ti", "haiga": "haya", "haigan": "hayan",
    "hechar": "echar", "hechado": "echado", "dijistes": "dijiste", "hicistes": "hiciste", "vinistes": "viniste",
    "fuistes": "fuiste", "dijieron": "dijeron", "trajieron": "trajeron", "andé": "anduve", "naiden": "nadie",
}  # fmt: skip

RULES = (
    rule("written", "|".join(_WRITTEN), "|".join(_WRITTEN), lambda found: _WRITTEN[found[0].lower()], "así se escribe"),
    rule("joined", "|".join(_JOINED), "|".join(_JOINED), lambda found: _JOINED[found[0].lower()], "se escribe separado"),
    rule("a_traves", "através de|atravez de|a travez de|atraves de|atravéz de|a traves de", r"a ?trave[sz] de|através de|atravéz de", "a través de", "separado y con tilde"),
    rule("hubo", "hubieron ", rf"hubieron (?={_MANY}\b)", "hubo ", "«haber» de existencia es impersonal"),
    rule("habia", "habían ", rf"habían (?={_MANY}\b)", "había ", "«haber» de existencia es impersonal"),
    rule("habra", "habrán ", rf"habrán (?={_MANY}\b)", "habrá ", "«haber» de existencia es impersonal"),
    rule("hace_time", "hacen ", rf"(?:(?<=^)|(?<=[.!?¿] )|(?<=[Yy]a )|(?<=, ))hacen (?={_NUMBER} {_TIME}(?: que\b|[.,;!?]| *$))", "hace ", "«hacer» de tiempo es impersonal"),
    rule("haber_si", "haber si ", r"haber si (?=[a-zá-ú])", "a ver si ", "«a ver», de mirar"),
    rule("voy_a_haber", "vamos haber|voy haber|vas haber", r"(vamos|voy|vas) haber (si|qué|cómo|cuándo|quién)", r"\1 a ver \2", "«a ver», de mirar"),
    rule("article_el", "la ", rf"la ({_TONIC_A})(?= |[.,;!?]|$)", r"el \1", "ante «a» tónica: «el»"),
    rule("masculine", "la |una ", rf"(la|una) ({_MASCULINE})(?= |[.,;!?]|$)", lambda found: {"la": "el", "una": "un"}[found[1].lower()] + " " + found[2], "es masculino"),
    rule("la_mano", "el mano|un mano|el foto|un foto|el moto|un moto", r"(el|un) (mano|foto|moto)(?= (?:derecha|izquierda|de|que|fue|está|roja|nueva)\b|[.,;!?])", lambda found: {"el": "la", "un": "una"}[found[1].lower()] + " " + found[2], "es femenino"),
    rule("dequeismo", "pienso de que|creo de que|opino de que|considero de que|parece de que|supongo de que|espero de que|digo de que|dijo de que", r"(pienso|creo|opino|considero|parece|supongo|espero|digo|dijo) de que", r"\1 que", "sobra «de»"),
    rule("ha_participle", "no a |ya a |se a |lo a |la a |le a |nunca a |siempre a |me a |te a |nos a ", rf"(no|ya|se|lo|la|le|nunca|siempre|me|te|nos) a ({_PARTICIPLES.replace('|estado', '')}) ", r"\1 ha \2 ", "verbo «haber»: «ha»"),
    rule("has_participle", "haz ", rf"haz ({_PARTICIPLES.replace('|dado|estado', '')}) ", r"has \1 ", "verbo «haber»: «has»"),
    rule("iba", "iva a |ivan a ", r"iva(n?) a (?=[a-zá-ú]+r\b)", r"iba\1 a ", "verbo «ir», con «b»"),
    rule("y_e", "y i|y hi", r"y (?=(?-i:i(?!o|a\b|e)|hi(?!e|a|o))(?-i:[a-zá-ú]{2,}))", "e ", "«e» ante i"),
    rule("o_u", "o o|o ho", r"o (?=(?:o[a-zá-ú]{2,}|ho(?!l?i)[a-zá-ú]{2,}))", "u ", "«u» ante o"),
    rule("question_accent", "cual |cuales |quien |quienes |cuanto |cuantos |cuanta |cuantas |por que ", r"(?<=¿)(cual|cuales|quien|quienes|cuanto|cuantos|cuanta|cuantas|por que)(?= )", lambda found: _ACCENTS[found[1].lower()], "interrogativo con tilde"),
    rule("porque_question", "porque ", r"(?<=¿)porque(?= )", "por qué", "pregunta: «por qué»"),
    rule("mas_comparative", "mas ", r"mas (?=grande|pequeñ|rápid|fácil|difícil|importante|información|que nada|barat|car[oa]s?\b|simple|clar[oa])", "más ", "cantidad: «más»"),
    rule("mejor", "más mejor|más peor|más mayor|más menor|mas mejor|mas peor|mas mayor|mas menor", r"m[áa]s (mejor|peor|mayor que|menor que)", r"\1", "un solo comparativo"),
    rule("delante_mio", "delante |detrás |encima |cerca ", r"(delante|detrás|encima|cerca) (mí|tuy)o", lambda found: f"{found[1]} de {'mí' if found[2].lower() == 'mí' else 'ti'}", "«de mí», «de ti»"),
)  # fmt: skip

_ACCENTS: dict[str, str] = {
    "cual": "cuál", "cuales": "cuáles", "quien": "quién", "quienes": "quiénes", "cuanto": "cuánto",
    "cuantos": "cuántos", "cuanta": "cuánta", "cuantas": "cuántas", "por que": "por qué",
}  # fmt: skip
