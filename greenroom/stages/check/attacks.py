"""The signs of an injected instruction: phrases in English, Portuguese and Spanish, on folded text.

Each kind of sign is one pattern, asked only of texts that have its anchor. A sign alone proves little: «what
does "ignore previous instructions" mean?» has one too. That is why signs of talk about attacks are sought as
well, and `injection` weighs them all, together with the n-gram classifier, in one score.
"""

from collections.abc import Iterable
from typing import NamedTuple

from greenroom.stages.check.linear import first_spot, pattern_set

_W = r"[a-z']+"
_GAP = rf"(?:{_W} ){{0,4}}"

_DROP_EN = (
    r"(?:ignor(?:e|es|ing)|disregard(?:ing)?|forget|discard|dismiss|overrid(?:e|ing)|overrule|bypass|abandon|"
    r"neglect|drop|skip|unlearn|scrap|wipe|erase|void|set aside|throw (?:away|out)|let go of|get rid of|"
    r"pay no (?:attention|heed) to|(?:do not|don't|never|stop|no longer|cease to) (?:follow|obey|following|"
    r"obeying|listen to|listening to|comply with|complying with|adhere to|use|using))"
)
_PAST_EN = (
    r"(?:previous|prior|earlier|above|preceding|foregoing|original|initial|existing|current|system|former|"
    r"past|safety|default|built-in|hidden|developer|openai'?s?|preset|pre-?programmed|old)"
)
_RULES_EN = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|commands?|orders|constraints?|"
    r"restrictions?|polic(?:y|ies)|training|programming|guardrails?|safeguards?|context|limitations?|"
    r"filters?|"
    r"assignments?|ethics|messages?|text|information|data|document)"
)
_DROP_PT = (
    r"(?:ignor[ea](?:r|ndo)?|esque[cs]a(?:-se d[eao]s?)?|esquece(?:r)?|desconsider[ea](?:r)?|"
    r"descart[ea](?:r)?|"
    r"abandon[ea]|anul[ea]|despre[zs][ea]|deix[ea] de (?:lado|seguir|obedecer)|jogue fora|"
    r"(?:nao|pare de|nunca) (?:siga|seguir|obedeca|obedecer|respeite|leve em conta|use)|passe por cima "
    r"d[aeo]s?)"
)
_DROP_ES = (
    r"(?:ignor[ea](?:r|ndo|n)?|olvid[ea](?:r|te)?(?: de)?|desestim[ea]|descart[ea](?:r)?|desech[ea]|"
    r"abandon[ea]|"
    r"anul[ea]|salta(?:te)?|omit[ea]|deja(?: de)? (?:lado|seguir|obedecer)|(?:haz|haga) caso omiso de|"
    r"(?:no|nunca) (?:sigas|siga|obedezcas|respetes|tengas en cuenta|hagas caso (?:a|de)|uses)|pasa por alto)"
)
_RULES_PT = (
    r"(?:instruco(?:es)|instrucao|regras?|diretrizes?|ordens|orientacoes|restricoes|limitacoes|politicas|"
    r"normas|"
    r"comandos?|prompts?|mensagens|filtros|contexto|treinamento|programacao|diretivas)"
)
_RULES_ES = (
    r"(?:instruccion(?:es)?|reglas?|directrices|directivas|ordenes|indicaciones|restricciones|limitaciones|"
    r"politicas|normas|pautas|comandos?|prompts?|mensajes|filtros|contexto|entrenamiento|programacion)"
)
_PAST_ROMANCE = (
    r"(?:anterior(?:es|mente)?|previ[ao]s?|acima|arriba|de antes|de arriba|origina(?:l|is|les)|inicia(?:l|"
    r"is|les)|"
    r"existentes?|que (?:voce|te|tu|le|se|recebeu|recibiste|a usted)|d[eo] (?:el )?sistema|passadas|pasadas|"
    r"de seguranca|de seguridad|precedentes|recebidas|recibidas|dadas|internas)"
)
_HIDDEN = (
    r"(?:system prompts?|(?:initial|hidden|original|secret|internal|base|full|entire|developer|"
    r"pre)[ -](?:prompts?|"
    r"instructions?|rules|guidelines|message|directives|configuration)|system (?:message|instructions?)|"
    r"prompt (?:de|do|del) (?:sistema|comando|desenvolvedor)|prompt (?:inicial|oculto|original|secreto|"
    r"interno|"
    r"completo)|(?:mensagem|mensaje|comando|instrucao|instrucoes|instrucciones|regras|reglas) "
    r"(?:de sistema|do sistema|del sistema|inicia(?:l|is|les)|ocult[ao]s?|secret[ao]s?|intern[ao]s|"
    r"origina(?:is|les)))"
)
_TELL = (
    r"(?:reveal|show|print|output|display|repeat|dump|disclose|leak|give|tell|recite|echo|share|write|type|"
    r"copy|"
    r"translate|encode|summari[sz]e|spell|revel[ea]|mostr[ea]|mostra-me|muestr[ae](?:me)?|imprim[ea]|"
    r"exib[ea]|repit[ae]|repet[ea]|"
    r"vaz[ea]|di(?:ga|me|z|gas)|cont[ea]|cuentame|entreg[ea]|pas[ea](?:me)?|filtr[ae]|escrev[ae]|"
    r"escrib[ea]|copi[ea]|traduz[a]?|"
    r"traduce|resum[ae]|ensena(?:me)?|cole|what (?:is|are|was|were)|qual (?:e|era)|quais (?:sao|eram)|"
    r"cual(?:es)? (?:es|son|era|fueron))"
)

OVERRIDE = (
    rf"«\b{_DROP_EN} »{_GAP}{_PAST_EN} (?:{_W} ){{0,2}}{_RULES_EN}\b",
    (
        rf"«\b{_DROP_EN} »(?:all |any |every )?(?:of )?(?:your|you're|these|those|the) (?:{_W} ){{0,2}}"
        r"(?:instructions|rules|guidelines|directives|restrictions|policies|training|programming|guardrails|"
        r"prompt|constraints)\b"
    ),
    (
        rf"«\b{_DROP_EN} »(?:{_W} ){{0,1}}(?:everything|anything|all|whatever)(?: that| which)? (?:you|i|was|"
        rf"were|came|is|above|before|said|they|they've|written)\b"
    ),
    rf"«\b{_DROP_PT} »(?:{_W} ){{0,4}}{_RULES_PT} (?:{_W} ){{0,2}}{_PAST_ROMANCE}\b",
    (
        rf"«\b{_DROP_PT} »(?:{_W} ){{0,2}}(?:as |o |os |a )?(?:suas|seu|seus|sua|tuas|teu) (?:{_W} "
        rf"){{0,2}}{_RULES_PT}\b"
    ),
    rf"«\b{_DROP_PT} »(?:tudo|qualquer coisa)(?: o)? que\b",
    rf"«\b{_DROP_ES} »(?:{_W} ){{0,4}}{_RULES_ES} (?:{_W} ){{0,2}}{_PAST_ROMANCE}\b",
    rf"«\b{_DROP_ES} »(?:{_W} ){{0,2}}(?:tus?|sus?) (?:{_W} ){{0,2}}{_RULES_ES}\b",
    rf"«\b{_DROP_ES} »(?:todo lo|cualquier cosa|lo) (?:que|anterior)\b",
)
RELEASE = (
    (
        r"\b(?:rules?|guidelines?|restrictions?|policies|instructions|filters?|safeguards?|"
        r"limits?) (?:above |"
        r"before |given )?"
        r"(?:no longer appl|do(?:es)? not apply|don't apply|(?:are|is) (?:void|cancelled|canceled|lifted|"
        r"suspended|revoked|gone|null))|"
        r"\b(?:free|freed|liberated|released|exempt|unbound|unshackled) (?:of|from) (?:all |any |your |"
        r"every |"
        r"the |its |their )?"
        r"(?:typical |usual |ethical |moral )?(?:rules?|restrictions?|guidelines?|limits?|limitations|"
        r"confines|"
        r"filters?|polic|constraints|chains)|"
        r"\b(?:without|has no|have no|with no|lacks|lacking|no) (?:any |moral |ethical |safety |content "
        r")*(?:rules|restrictions|"
        r"limits|filters?|morals|ethics|censorship|guidelines|limitations|boundaries) (?:what|and|or|at all|"
        r"whatsoever|anymore)\b|"
        r"\b(?:turn off|disable|switch off|deactivate|bypass|remove|suspend|circumvent|evade|"
        r"lift) (?:all |any "
        r"|your |every |the )*"
        r"(?:safety|content|ethical|moral|security|openai)[ -](?:filters?|safeguards?|guidelines|polic|"
        r"mechanisms?|restrictions|protocols|controls|checks|features)|"
        r"\b(?:livre|liberad[oa]|livres|solt[oa]|isent[oa]) d(?:e|as|os) (?:todas |quaisquer |suas |qualquer "
        r")*(?:as )?(?:regras?|restric|limit|filtros?|normas|diretrizes|amarras)|"
        r"\b(?:libre|liberad[oa]|exent[oa]) de (?:todas |cualquier |tus |toda )*(?:las )?(?:reglas?|restric|"
        r"limit|filtros?|normas|directrices|ataduras)|"
        r"\b(?:desligue|desative|desactiva|desliga|remova|apaga|quita|elimina|burle|burla) (?:todos |"
        r"seus |tus "
        r"|os |los )*(?:filtros|bloqueos|bloqueios|controles|limites|restricoes)\b|"
        r"\bsem (?:nenhum |nenhuma |qualquer )?(?:filtros?|regras|restricoes|limites|censura) (?:e|nem|"
        r"ou|etic)|"
        r"\bsin (?:ningun |ninguna )?(?:filtros?|reglas|restricciones|limites|censura) (?:y|ni|o|etic)|"
        r"\b(?:regras|reglas|instrucoes|instrucciones|restricoes|restricciones) (?:(?:ya )?no|nao) (?:valem|"
        r"valen|se aplic|aplican|contam|cuentan)"
    ),
)
PERSONA = (
    r"\b(?:you are|you're|act as|acting as|pretend to be|pretend you are|roleplay as|role-play as|become|"
    r"simulate|"
    r"play the role of|you will (?:be|play|act)|take on the role of|embody) (?:now )?(?:(?:an?|the|in) )?(?:"
    + _W
    + r" ){0,4}"
    r"«\b(?:dan|jailbroken|jailbreak|unfiltered|uncensored|unrestricted|amoral|evil|unethical|unhinged|rebel|"
    r"rogue)\b»",
    (
        r"\b(?:dan|stan|dude|aim|jailbreak|developer|god|debug|unrestricted|sudo|root|evil|opposite|"
        r"uncensored) mode\b|"
        r"\bdo anything now\b|\b(?:stay|remain) in character\b|\b(?:never|don't|"
        r"do not) break (?:character|the "
        r"role)\b|"
        r"\bmodo (?:dan|deus|dios|desenvolvedor|desarrollador|debug|root|admin\w*|jailbreak|"
        r"sem restricoes|sin "
        r"restricciones|sem censura|sin censura|maligno|malvado)\b|"
        r"\b(?:never|cannot|can't|won't|must not|do not|don't) (?:ever )?(?:refuse|decline|reject|say no|say "
        r"you can't|say that you can't)\b|"
        r"\b(?:nunca|jamais|nao|jamas|no) (?:te |se )?(?:recus[ea]|niegu?es?|nieg[ae]|rechac?es|rechaza|diga "
        r"que nao|digas que no)\b|"
        r"\bfrom now on,? (?:you|your|respond|answer|reply|act|i am)\b|\bpretend (?:that )?(?:you|there) "
        r"(?:are|have) no\b|"
        r"\b(?:a partir de agora|de agora em diante|daqui pra frente|de aqui en adelante|desde ahora),? "
        r"(?:voce|tu|eres|so|solo|se|es) |"
        r"\bagora voce e\b|\bvoce agora e\b|\bahora eres\b|\byou are (?:now )?(?:going to|about to) (?:act|"
        r"pretend|simulate|immerse)\b"
    ),
)
EXTRACT = (
    rf"\b{_TELL}\b[^.!?\n]{{0,60}}«\b{_HIDDEN}\b»",
    (
        rf"\b{_TELL} (?:me |us |out |back |verbatim |exactly |a mim |-me )*(?:your|seu|sua|seus|suas|tu|tus|"
        rf"teu|tua) (?:exact |own |full |first |last )?"
        r"(?:instructions?|prompts?|guidelines|rules|directives|password|passphrase|secret|configuration|"
        r"instrucoes|regras|senha|instrucciones|reglas|contrasena|configuracion|configuracao)\b"
    ),
    r"\b(?:repeat|print|copy|recite|output|return|echo|translate) (?:"
    + _W
    + r" ){0,4}«\b(?:words|text|everything|all|lines|sentences|content|instructions?)(?: that (?:is|was|"
    r"comes?|came))? (?:above|before this|preceding)\b»",
    (
        r"\b(?:what (?:was|is|were)|which) (?:written|said|told|the (?:text|first (?:line|sentence))) (?:to "
        r"you )?(?:above|before|at the (?:top|beginning|start))\b"
    ),
    r"\b(?:repita|copie|transcreva|repite|copia|transcribe) (?:"
    + _W
    + r" ){0,5}«\b(?:ao pe da letra|al pie de la letra|palavra por palavra|palabra por palabra|(?:tudo|todo|"
    r"texto|palavras|palabras|linhas|lineas) (?:o |lo )?(?:que )?(?:esta |veio |vino |se escribio )?(?:de )?"
    r"(?:acima|arriba|antes))\b»",
    r"\b(?:start|begin) (?:your|the|with)[^.\n]{0,30}«[\"'](?:you are|my instructions|sure|absolutely)»",
    (
        r"\bwhat (?:are|were) (?:you told|you instructed|your (?:exact|initial|original|real|true|secret|"
        r"hidden))\b"
    ),
)
ROLE_TAG = (
    (
        r"<\|?(?:im_start|im_end|system|endoftext|start_header_id|eot_id|user|assistant)\|?>|\[/?inst\]|"
        r"<</?sys>>|"
        r"\[/?system\]|</?(?:system|instructions?|admin|user_input|untrusted)>|###? ?(?:system|instructions?|"
        r"new instructions?|instrucao|instruccion|sistema)\b ?:?|"
        r"(?:^|\n) ?(?:system|sistema|developer|admin) ?(?:override|message|prompt|note|notice|command)? ?: |"
        r"\bbegin(?:ning)? (?:of )?(?:new )?system (?:message|prompt)"
    ),
    r"«-{3,} ?(?:end|fim|fin|begin|start|new|inicio)»(?: of| do| del)? (?:" + _W + r" ){0,3}-{2,}",
    r"«<!--»[^>]{0,40}(?:ai|llm|assistant|system|model|bot|ia|instruction)\b",
)
EXFILTRATE = (
    (
        r"«!\[»[^\]]{0,80}\]\(https?://[^)\s]{0,200}[?&=/][^)\s]{0,80}(?:\{|\[|%7b|data|dados|datos|secret|"
        r"conversation|history|prompt)"
    ),
    r"«\b(?:send|forward|post|upload|email|exfiltrate|transmit|leak|envi[ea]|mand[ea]|encaminh[ea]|"
    r"reenvi[ea]|publi[cq]u?[ea]) »"
    r"(?:"
    + _W
    + r" ){0,6}(?:conversation|history|data|chat|records|credentials|passwords?|keys?|files|conversa|"
    r"dados|historico|arquivos|senhas?|conversacion|datos|historial|archivos|claves?|contrasenas) "
    r"(?:"
    + _W
    + r" ){0,3}(?:to|para|a|at|em|en) (?:me|mim|mi|https?:|an? |um |un |this|este|[a-z0-9._-]{1,40}@)",
)
TOOL_CALL = (
    (
        r"\b(?:call|use|run|invoke|execute|trigger|chame|use|execute|acione|llama|usa|ejecuta|"
        r"invoca) (?:the |"
        r"a |la |el |o )?(?:tool |function |ferramenta |herramienta |funcion |funcao )?"
        r"[a-z]{2,20}«_[a-z_]{2}»[a-z_]{0,28}\b"
    ),
    (
        r"\b(?:without|before) (?:asking|telling|informing|notifying) (?:the )?(?:user|anyone|human)|"
        r"\b(?:do not|don't|never) (?:tell|mention|inform|reveal|show|let)(?: this| it| anything)?(?: to)? "
        r"(?:the |your )?(?:users?|human|reader|customer)\b|"
        r"\b(?:sem|sin) (?:avisar|perguntar|preguntar|contar|informar)(?: ao| al| a| o)? (?:el )?(?:usuario|"
        r"cliente|ninguem|nadie)\b"
    ),
    (
        r"«\b(?:nao|nunca|no) (?:conte|fale|mostre|avise|mencione|cuentes|digas|muestres|avises|"
        r"menciones)»(?: "
        r"\w+){0,2} (?:ao|al) (?:usuario|leitor|lector|cliente)\b"
    ),
)
ADDRESSED = (
    (
        r"\b(?:attention|note to|message (?:to|for)|hey|dear|to any|if you are an?|instructions? (?:to|for)|"
        r"atencao|nota para|mensagem para|atencion|mensaje para|se voce e uma?|si eres una?),? "
        r"(?:the |all |any |o |a |el |la |todo |toda |this )?(?:ai|llm|language model|assistant|chatbot|bot|"
        r"gpt|chatgpt|summari[sz]er|ai agent|automated (?:system|agent|reader)s?|ia|modelo de (?:linguagem|"
        r"lenguaje)|assistente|asistente|robo|robot|agente de ia)\b(?:[:,]| read| process| must| should|"
        r" that| "
        r"que)|"
        r"\b(?:ai|llm|language) (?:models?|agents?|assistants?|systems?)(?: that| which| who)? (?:reading|"
        r"process|summari|read|must|should|are required)"
    ),
    r"«\b(?:when|while|before|if) (?:you (?:are )?)?(?:summari[sz]ing|processing|answering|translating|"
    r"asked about|reading) »(?:"
    + _W
    + r" ){0,3}(?:page|document|text|email|e-mail|article|content|this)\b[^.\n]{0,12}(?:also|must|always|"
    r"first|include|say|add|output|instead)",
)
PRIORITY = (
    (
        r"«\b(?:new|updated|urgent|important|final|revised|real|actual|secret|nova|novas|nueva|nuevas) "
        r"(?:system |top[- ]priority |high[- ]priority )?(?:instructions?|task|directive|orders?|command|"
        r"objective|instrucao|instrucoes|tarefa|ordem|diretriz|instruccion|instrucciones|tarea|"
        r"orden)»(?: with "
        r"[a-z ]{0,24}| com [a-z ]{0,24}| con [a-z ]{0,24})? ?:"
    ),
    r"\b(?:i am|i'm|this is|speaking as|sou|eu sou|aqui e|soy|habla) (?:"
    + _W
    + r" ){0,2}(?:your |the |o |a |el |tu |seu |um |un )?«\b(?:developer|creator|administrator|system owner|"
    r"admin|openai|anthropic|desenvolvedor|criador|administrador|desarrollador|creador)\b»",
    r"«\b(?:replaces?|overrides?|supersedes?|takes? precedence over|outranks?|substitui|revoga|anula|"
    r"reemplaza|revoca|tem prioridade sobre|tiene prioridad sobre) »(?:"
    + _W
    + r" ){0,3}(?:(?:everything|all|anything) (?:you|above|so far|that you|in your)|instructions|rules|"
    r"prompt|regras|instrucoes|reglas|instrucciones|tudo o que (?:veio|voce)|todo lo (?:que|anterior))\b",
    (
        r"\b(?:system|admin|developer|security|policy|root) override\b|\boverride (?:code|protocol|mode)\b|"
        r"\bsudo (?:mode|reveal|show|print|ignore|tell)\b"
    ),
)
ABOUT = (
    (
        r"\b(?:what|why|how|explain|define|describe|examples? of|meaning of|o que|por que|como|que (?:e|es|"
        r"significa)|significa|explique|explica|define|defina)\b[^.!?\n]{0,60}"
        r"«(?:prompt injection|jailbreak|injection attack|system prompt|ignore (?:all |"
        r"the )?(?:previous|prior)|"
        r"injecao de prompt|inyeccion de prompt|prompt de sistema|ignore as instrucoes|ignora las "
        r"instrucciones|do anything now|\bdan\b)»"
    ),
    r"\b(?:detect|prevent|defend|protect|mitigat|classif|block|against|test|audit|research|paper|article|"
    r"dataset|vulnerab|detectar|prevenir|defender|proteger|bloquear|contra|evitar)\w* (?:"
    + _W
    + r" ){0,5}«\b(?:prompt injections?|jailbreaks?|injection|attacks?|leak\w*|injecao|inyeccion|ataques?)»",
    r"\b(?:write|draft|create|design|improve|escreva|monte|crie|escribe|crea|prepara|mejora) (?:"
    + _W
    + r" ){0,3}«\b(?:system prompt|prompt de sistema|instructions|instrucoes|instrucciones|guidelines|"
    r"rules) (?:for|para)\b»",
)

KINDS = (
    "override",
    "release",
    "persona",
    "extract",
    "role_tag",
    "exfiltrate",
    "tool_call",
    "addressed",
    "priority",
    "about",
)
"""Kinds of signs, in the order of the weights; "about" speaks against an attack."""
PHRASES = (OVERRIDE, RELEASE, PERSONA, EXTRACT, ROLE_TAG, EXFILTRATE, TOOL_CALL, ADDRESSED, PRIORITY, ABOUT)
"""Phrases by kind. What stands between « and » is the phrase's anchor; without these, all of it is."""


def _anchor(phrase: str) -> str:
    return phrase.partition("«")[2].partition("»")[0] or phrase


_PATTERNS = tuple("|".join(phrases).replace("«", "").replace("»", "") for phrases in PHRASES)
ANCHORS = tuple("|".join(dict.fromkeys(map(_anchor, phrases))) for phrases in PHRASES)
"""For each kind a pattern that occurs in every folded text that has such a sign, and in few others.

They count no words, as the phrases do: their automaton does not grow with every new text.
"""

_look = pattern_set(ANCHORS)
_where = tuple(first_spot(one) for one in _PATTERNS)


class Sign(NamedTuple):
    """Where a kind of sign stands first."""

    kind: str
    start: int
    end: int


def signs(folded: bytes, anchored: Iterable[int] | None = None) -> list[Sign]:
    """The kinds that a folded text shows, each where it stands first. Linear time.

    `anchored`: the numbers of the `ANCHORS` that occur, where they were looked for already.
    """
    found: list[Sign] = []
    for number in sorted((_look(folded) or ()) if anchored is None else anchored):
        span = _where[number](folded)
        if span is not None:
            found.append(Sign(KINDS[number], *span))
    return found
