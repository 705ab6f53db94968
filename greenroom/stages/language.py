"""In which language a text is, told from a few hundred characters.

Three witnesses: small words that hold sentences together (own lists), endings and letters that only some
languages use, and cld2. Made for short prompts in English, Portuguese and Spanish; knows French, Italian,
German and Dutch well enough not to take them for one of these, and leaves the rest to cld2.
"""

import importlib
import re
from functools import cache
from typing import Any

_SAMPLE_HEAD = 160
_SAMPLE_TAIL = 60
_LANGUAGES = ("en", "pt", "es", "fr", "it", "de", "nl")

_WORDS = {
    "en": """
        the of and to a in is it you that he was for on are with as his they be at one have this
        from or had by hot but some what there we can out other were all your when up use how said
        an each she which do their if will way about many then them would like so these her long
        make see him two has more could go come did my no over such our man me even most made after
        also off before must through back years where much should well people down because good any
        those feel seem why ask might not don't doesn't isn't aren't i i'm i've i'll it's that's
        what's let's can't won't didn't couldn't wouldn't shouldn't you're they're us its who whom
        whose been being am than into only just now very too here please help write give tell
        explain show find list create summarize summarise translate rewrite describe compare between
        using need want think know get got work working does done while without within against
        during under both few own same again further once yes hello hi hey thanks thank best better
        needs new old first last next every never always often still yet ever since until unless
        whether though although however therefore code file error text word words sentence paragraph
        email letter story essay question answer following below above according name number day
        week month year today tomorrow yesterday time free would've something anything nothing
        everything someone anyone everyone less least another great nice love bad big small right
        wrong place went going take took look looking say says lot really around near far high low
        price service staff food room team company business meeting call let put keep start started
        run running open close read sent send check fix bug issue update changes plus super
    """,
    "pt": """
        o a os as um uma uns umas de do da dos das em no na nos nas num numa por pelo pela pelos
        pelas para pra pro com sem sob sobre entre até ate após apos desde contra e ou mas nem que
        se porque pois como quando onde quem qual quais quanto quantos quanta quantas cujo cuja não
        nao sim já ja também tambem muito muita muitos muitas pouco mais menos bem mal só so ainda
        sempre nunca agora hoje ontem amanhã amanha aqui ali lá la aí ai então entao assim depois
        antes eu tu ele ela nós vós eles elas você voce vocês voces vc vcs me te lhe lhes meu minha
        meus minhas teu tua teus tuas seu sua seus suas nosso nossa nossos nossas este esta estes
        estas esse essa esses essas aquele aquela aqueles aquelas isto isso aquilo deste desta desse
        dessa destes destas desses dessas neste nesta nesse nessa naquele naquela daquele daquela à
        às ao aos é és são sao foi foram era eram ser sendo sido está estão estava estavam estou
        estamos tem têm tinha tinham ter tenho temos havia há ha houve vai vão vou vamos ir fazer
        faz faça faca fez feito pode podem posso podemos poder quero quer queria querem preciso
        precisa precisamos deve devem dever sei sabe saber diga dizer disse dá dar dê me-me fale
        explique escreva resuma traduza corrija crie liste mostre gere reescreva compare descreva
        calcule ajude ajuda responda monte sugira analise obrigado obrigada olá ola oi bom boa dia
        tarde noite favor texto frase palavra código codigo arquivo erro pergunta resposta ano anos
        mês mes meses semana semanas coisa coisas gente pessoa pessoas mundo vida casa trabalho
        empresa cliente pedido conta número numero nome cidade país pais governo presidente todo
        toda todos todas outro outra outros outras mesmo mesma mesmos mesmas cada qualquer algum
        alguma alguns algumas nenhum nenhuma tudo nada alguém ninguém seguinte seguintes apenas
        durante segundo porém porem embora enquanto portanto logo tá tô né pras pros aonde cadê
        melhor pior maior menor novo nova novos novas grande pequeno primeiro primeira último última
        dois duas três tres quatro cinco seis sete oito nove dez uso usar usando preço reais real
        português inglês brasil brasileiro brasileira portugal faço fica ficar ficou passo qualidade
        vezes vez foste
    """,
    "es": """
        el la los las lo un una unos unas de del al en por para con sin sobre entre hasta desde
        contra según segun hacia tras y e o u pero sino ni que si sí porque pues como cómo cuando
        cuándo donde dónde quien quién quienes cual cuál cuales cuáles cuanto cuánto cuántos cuanta
        cuántas cuyo cuya qué no ya también tambien muy mucho mucha muchos muchas poco más mas menos
        bien mal sólo solo aún todavía siempre nunca ahora hoy ayer mañana aquí allí allá ahí
        entonces así después despues antes yo tú él ella nosotros vosotros ellos ellas usted ustedes
        me te le les se mi mis tu tus su sus mío mía nuestro nuestra nuestros nuestras este esta
        estos estas ese esa esos esas aquel aquella aquellos esto eso aquello es son fue fueron era
        eran ser siendo sido está están estaba estaban estoy estamos tiene tienen tenía tener tengo
        tenemos había hay hubo haber he ha han hemos va van voy vamos ir hacer hace haz hizo hecho
        hago puede pueden puedo podemos poder puedes quiero quiere quieres quisiera necesito
        necesita necesitamos debe deben deber sé sabe saber dime decir dijo da dar dame explica
        explícame explique escribe escríbeme escriba resume resúmeme traduce traduzca corrige crea
        genera lista muestra muéstrame reescribe compara describe calcula ayuda ayúdame responde
        sugiere analiza gracias hola buenos buenas buen bueno buena días dia día tardes noches favor
        texto frase palabra código archivo error pregunta respuesta año años mes meses semana
        semanas cosa cosas gente persona personas mundo vida casa trabajo empresa cliente pedido
        cuenta número nombre ciudad país gobierno presidente todo toda todos todas otro otra otros
        otras mismo misma mismos mismas cada cualquier algún alguna algunos algunas ningún ninguna
        nada alguien nadie siguiente siguientes durante mientras aunque embargo luego mejor peor
        mayor menor nuevo nueva nuevos nuevas grande gran pequeño primer primero primera último
        última dos tres cuatro cinco seis siete ocho nueve diez uso usar usando precio euros español
        inglés españa méxico argentina ejemplo correo carta veces vez estás eres soy somos tienes
        tal vale conmigo contigo
    """,
    "fr": """
        le la les l un une des de du au aux en dans par pour avec sans sur sous entre chez vers et
        ou mais ni que qui quoi dont où si parce comme quand comment pourquoi combien quel quelle
        quels quelles ne pas plus moins très bien mal aussi encore toujours jamais maintenant ici là
        alors ainsi après avant je tu il elle on nous vous ils elles me te se lui leur leurs mon ma
        mes ton ta tes son sa ses notre nos votre vos ce cet cette ces cela ça c est sont était
        étaient être été suis es sommes êtes ai as a avons avez ont avait avoir fait faire peut peux
        pouvez veux voudrais dois doit faut va vais bonjour merci s'il plaît texte tout toute tous
        toutes autre autres même donc car voici écris explique résume traduis donne
    """,
    "it": """
        il lo la i gli le l un uno una di del dello della dei degli delle a al allo alla ai agli
        alle da dal dalla dai in nel nello nella nei negli nelle con su sul sulla per tra fra e ed o
        ma né che chi cui se perché come quando dove quanto quale quali non più meno molto molta
        bene male anche ancora sempre mai ora qui lì allora così dopo prima io tu lui lei noi voi
        loro mi ti si ci vi mio mia miei tuo suo sua suoi nostro questo questa questi queste quello
        quella è sono era erano essere stato sei siamo ho hai ha abbiamo avete hanno aveva avere
        fatto fare può posso voglio vorrei devo deve ciao grazie testo tutto tutti tutte altro altri
        stesso ogni scrivi spiega spiegami riassumi traduci dammi dimmi cosa qual
    """,
    "de": """
        der die das den dem des ein eine einen einem einer eines und oder aber nicht kein keine ich
        du er sie es wir ihr mich dich sich uns euch mein meine dein seine ihre ist sind war waren
        sein bin bist hat haben habe hatte wird werden wurde kann können muss soll will möchte in im
        an am auf aus bei mit nach von vom zu zum zur für über unter um durch gegen ohne vor
        zwischen wie was wer wo wann warum welche welcher welches dass weil wenn als auch noch schon
        nur sehr mehr hier dort jetzt dann so bitte danke hallo alle dieser diese dieses schreibe
        erkläre fasse übersetze gib mir man gibt zwei jahr jahre heute
    """,
    "nl": """
        de het een en of maar niet geen ik jij je hij zij ze wij we jullie u mij me hem haar ons hun
        mijn jouw zijn is ben bent was waren worden wordt werd heeft hebben heb had kan kunnen moet
        moeten wil willen zou in op aan van voor met naar bij uit over onder door tegen zonder
        tussen om te tot als dat die dit deze wie wat waar wanneer waarom hoe welke omdat ook nog al
        wel zeer meer hier daar nu dan zo alsjeblieft bedankt hallo alle schrijf leg vertaal geef er
    """,
}
_ENDINGS = {
    "en": """
        ing tion tions ness ment ments ies ed ght ly ould n't ship ful ward wise th ck ous ure ity sh ge
        ve nd nt ct
    """,
    "pt": """
        ção ções são sões ões ãos ães dade dades agem agens inho inha ava avam ando endo indo ário ária eiro
        eira eiros ência ância mente ém êm ou aram eram iram asse esse isse ável ível lho lha nho nha ei
        ar er ir
    """,
    "es": """
        ción ciones sión siones dad dades aje ajes ito ita aba aban ando iendo ario aria ero era eros encia
        ancia mente ué ó aron ieron ase ese iese able ible illo illa ño ña uelo ces é ar er ir
    """,
    "fr": """
        tion tions ment ments eux euse ais ait aient ez eau eaux oir ière ique iques age ages ée ées és
    """,
    "it": """
        zione zioni tà ità mente ando endo ato ata ati ate etto etta issimo aggio enza anza gli ile ità ché
    """,
    "de": "ung ungen heit keit lich ig isch chen sch tz st en ern",
    "nl": "ing ingen heid lijk ijk tje tjes isch aat oor ijn",
}
_OPEN_ENDINGS = {"a": (1, 2, 4), "o": (1, 2, 4), "as": (1, 2), "os": (1, 2), "am": (1,), "em": (1,)}
"""Endings of words in the southern languages where no other ending tells: Portuguese, Spanish, Italian."""
_LETTERS: dict[str, tuple[tuple[int, float], ...]] = {
    **dict.fromkeys("ãõ", ((1, 2.0),)),
    **dict.fromkeys("ñ¿¡", ((2, 2.0),)),
    **dict.fromkeys("áíóú", ((1, 0.3), (2, 0.3))),
    **dict.fromkeys("âêô", ((1, 0.4), (3, 0.2))),
    **dict.fromkeys("äöü", ((5, 0.5), (6, 0.1))),
    **dict.fromkeys("òìù", ((4, 0.4),)),
    **dict.fromkeys("œûîë", ((3, 0.4),)),
    "ß": ((5, 2.0),),
    "ç": ((1, 0.6), (3, 0.2)),
    "à": ((1, 0.2), (3, 0.2), (4, 0.2)),
    "è": ((3, 0.3), (4, 0.3)),
    "é": ((1, 0.2), (2, 0.2), (3, 0.2)),
}
"""Letters and signs → (language, weight)."""

_ENDING_WEIGHT = 0.3
_SHARED = (1.0, 0.6, 0.4)
"""What a word counts for each language when one, two, or more languages have it."""
_CLD2_WEIGHT = 1.5
_CLD2_GUESS = 0.6
"""The same where cld2 itself is only guessing."""
_KIN = {
    "gl": ("pt", "es"), "ca": ("es",), "oc": ("fr",), "ast": ("es",), "af": ("nl",),
    "sco": ("en",), "lb": ("de",),
}  # fmt: skip
"""Languages that short texts in ours are mistaken for."""
_BELIEVED = frozenset(
    (
        "ca", "cs", "cy", "da", "et", "eu", "fi", "hr", "hu", "id", "is", "lt", "lv", "ms", "nb", "nn", "no",
        "pl", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr", "vi", "bs", "az", "uz", "so", "zu", "xh", "ht",
        "eo",
    )
)  # fmt: skip
"""Other languages in Latin letters that cld2 is believed about; the rest it mostly sees in names."""
_NAMES = 0.35
"""How much stronger another language must be before "English" from cld2 counts as a guess at names."""
_LEAST = 0.5
"""Evidence below which a text has no language: one shared small word and nothing else."""

_word = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_special = re.compile(f"[{''.join(_LETTERS)}]")
_other_script = re.compile(
    "[\u0370-\u1dff\u2c00-\ud7ff\uf900-\ufdff\ufe70-\uffdc\U00010000-\U0001efff\U00020000-\U0003ffff]"
)


@cache
def _lexicon() -> dict[str, tuple[tuple[int, float], ...]]:
    """Word → (language, weight); a word that several languages share counts less for each."""
    owners: dict[str, list[int]] = {}
    for number, code in enumerate(_LANGUAGES):
        for word in set(_WORDS[code].split()):
            owners.setdefault(word, []).append(number)
    return {
        word: tuple((number, _SHARED[min(len(numbers), 3) - 1]) for number in numbers)
        for word, numbers in owners.items()
    }


@cache
def _ending() -> tuple[re.Pattern[str], dict[str, tuple[int, ...]]]:
    owners: dict[str, list[int]] = {}
    for number, code in enumerate(_LANGUAGES):
        for ending in set(_ENDINGS[code].split()):
            owners.setdefault(ending, []).append(number)
    longest_first = "|".join(sorted(map(re.escape, owners), key=len, reverse=True))
    return re.compile(f"(?:{longest_first})$"), {key: tuple(value) for key, value in owners.items()}


@cache
def _cld2() -> Any:  # Any: the module has no types
    return importlib.import_module("pycld2")


def detect(text: str) -> tuple[str, float]:
    """The language of a text as ISO 639 code, and how sure that is (0 to 1); "und" when nothing tells.

    Looks at the first 160 and last 60 characters. Cost: about 25 µs, and once 10 ms to load cld2.
    """
    sample = (
        text if len(text) <= _SAMPLE_HEAD + _SAMPLE_TAIL else f"{text[:_SAMPLE_HEAD]} {text[-_SAMPLE_TAIL:]}"
    )
    voted, share, is_reliable = _ask_cld2(sample)
    if not sample.isascii() and len(_other_script.findall(sample)) * 3 > len(sample):
        return (voted, share) if voted else ("und", 0.0)
    scores, words = _score(sample)
    if voted == "en" and scores[0] + _NAMES < max(scores):
        is_reliable = False  # it takes names for English
    for kin in _KIN.get(voted, (voted,)):
        if kin in _LANGUAGES:
            scores[_LANGUAGES.index(kin)] += share * (_CLD2_WEIGHT if is_reliable else _CLD2_GUESS)
    ranked = sorted(scores, reverse=True)
    best, second = ranked[0], ranked[1]
    if voted in _BELIEVED and is_reliable and words > 2 and share > 0.5 and best < words * 0.2:
        return voted, round(share * 0.9, 3)
    if best < _LEAST:
        return "und", 0.0
    sureness = (best - second) / best * min(1.0, 0.5 + best / 8) * min(1.0, 0.4 + words / 6)
    return _LANGUAGES[scores.index(best)], round(min(1.0, sureness + 0.1), 3)


def _score(sample: str) -> tuple[list[float], int]:
    scores = [0.0] * len(_LANGUAGES)
    lexicon = _lexicon()
    pattern, owners = _ending()
    words = _word.findall(sample)
    for word in words:
        known = lexicon.get(word) or lexicon.get(word.lower())
        if known is not None:
            for number, weight in known:
                scores[number] += weight
        elif len(word) > 3 and word[0].islower():
            found = pattern.search(word, len(word) - 6)
            numbers = (
                owners[found[0]] if found else _OPEN_ENDINGS.get(word[-1]) or _OPEN_ENDINGS.get(word[-2:])
            )
            if numbers:
                for number in numbers:
                    scores[number] += _ENDING_WEIGHT / len(numbers)
    for letter in _special.findall(sample):
        for number, weight in _LETTERS[letter]:
            scores[number] += weight
    return scores, len(words)


def _ask_cld2(sample: str) -> tuple[str, float, bool]:
    """What cld2 says, of which share of the text, and whether it stands by it."""
    cld2 = _cld2()
    try:
        is_reliable, _, found = cld2.detect(sample, bestEffort=True)
    except (cld2.error, UnicodeEncodeError):
        return "", 0.0, False
    _, code, percent, _ = found[0]
    if code == "un":
        return "", 0.0, False
    return code.partition("-")[0], percent / 100, is_reliable
