"""How people say what stays true of them, in English, Portuguese and Spanish: the rules of `facts`.

Each rule is a slot and a pattern; `{…}` stand for the pieces below. Only what is said in the first person is
looked for. Knows no store and keeps nothing.
"""

from typing import NamedTuple

PIECES = {
    "{v}": r"(?P<v>[^,.;:!?()\n]{1,80})",
    "{n}": r"(?P<v>(?-i:[A-ZÀ-Ý])[\w'’-]{1,30}(?: (?-i:[A-ZÀ-Ý])[\w'’-]{1,30}){0,3})",
    "{num}": r"(?P<v>\d{1,3})",
    "{k}": r"(?P<k>[^\W\d_][\w'’ -]{1,48}?)",
    "{adv-en}": r"(?:(?:no longer|don't|don’t|do not|not|never|currently|now|still|just|recently|finally|already|also|actually|really|absolutely) )*",
    "{i-am}": r"\bi(?:'m| am|’m)",
    "{i-have}": r"\bi(?:'ve|’ve| have)?",
    "{adv-pt}": r"(?:(?:não|já não|agora|hoje|atualmente|ainda|já|acabei de|recentemente|também|realmente) )*",
    "{adv-es}": r"(?:(?:no|ya no|ahora|hoy|actualmente|todavía|ya|recién|recientemente|también|realmente) )*",
    "{kin-en}": r"(?P<k>wife|husband|partner|girlfriend|boyfriend|fianc[ée]e?|sister|brother|mother|mom|mum|father"
    r"|dad|son|daughter|grandmother|grandma|grandfather|grandpa|aunt|uncle|cousin|nephew|niece|best friend|friend"
    r"|boss|manager|neighbou?r|dentist|doctor|therapist|teacher|roommate|flatmate|coach)",
    "{kin-pt}": r"(?P<k>esposa|marido|mulher|namorad[oa]|noiv[oa]|irmã|irmão|mãe|pai|filh[oa]|avó|avô|ti[oa]|prim[oa]"
    r"|sobrinh[oa]|sogr[oa]|cunhad[oa]|melhor amig[oa]|amig[oa]|chefe|vizinh[oa]|dentista|médic[oa]|terapeuta"
    r"|professora?|colega|treinadora?)",
    "{kin-es}": r"(?P<k>esposa|marido|mujer|novi[oa]|pareja|herman[oa]|madre|mamá|padre|papá|hij[oa]|abuel[oa]|tí[oa]"
    r"|prim[oa]|sobrin[oa]|suegr[oa]|cuñad[oa]|mejor amig[oa]|amig[oa]|jef[ea]|vecin[oa]|dentista|médic[oa]"
    r"|terapeuta|profesora?|compañer[oa]|entrenadora?)",
    "{pet-en}": r"(?P<k>dog|cat|puppy|kitten|parrot|turtle|tortoise|rabbit|hamster|fish|bird|horse|snake|lizard"
    r"|canary|pet|guinea pig|goldfish)",
    "{pet-pt}": r"(?P<k>cachorr[oa]|cadela|cão|gat[oa]|gatinh[oa]|papagaio|tartaruga|jabuti|coelh[oa]|hamster|peixe"
    r"|pássaro|cavalo|cobra|lagarto|canário|calopsita|periquito|porquinho-da-índia|bicho|pet)",
    "{pet-es}": r"(?P<k>perr[oa]|perrit[oa]|gat[oa]|gatit[oa]|loro|tortuga|conej[oa]|hámster|pez|pájaro|caballo"
    r"|serpiente|lagarto|canario|periquito|cobaya|mascota)",
    "{ill-en}": r"(?P<v>(?:type [12] )?diabetes|asthma|migraines?|hypertension|high blood pressure|anxiety|depression"
    r"|arthritis|c[o]?eliac disease|insomnia|adhd|epilepsy|anemia|back pain|a bad (?:knee|back))",
    "{ill-pt}": r"(?P<v>diabetes|asma|enxaquecas?|hipertensão|pressão alta|ansiedade|depressão|artrite|doença celíaca"
    r"|insônia|tdah|epilepsia|anemia|dor nas costas)",
    "{ill-es}": r"(?P<v>diabetes|asma|migrañas?|hipertensión|presión alta|ansiedad|depresión|artritis|celiaquía"
    r"|insomnio|tdah|epilepsia|anemia|dolor de espalda)",
    "{work-en}": r"(?P<v>(?:[\w-]+ ){0,2}[\w-]*(?:tist|gist|nist|list|mist|pist|yst|cian|arian|iter|tect|neer|nter|ger|cher"
    r"|eller|rer|lder|ster|ber|per|wer|ver|ner|ser|ker|yer|tor|sor|nurse|chef|cook|vet|pilot|intern|student|clerk|barista"
    r"|accountant|assistant|consultant|freelance|attendant|secretary|officer|dentist|police\w+|fire\w+))",
    "{not-work-en}": r"(?!(?:[\w-]+ ){0,2}(?:beginner|customer|user|member|lover|sleeper|owner|foreigner|follower"
    r"|subscriber|supporter|speaker|visitor|learner|drinker|smoker|newcomer|winner|believer|stickler|monster|number"
    r"|matter|sucker|sister|mother|father|brother|daughter|eater|loner|survivor|investor|night owl)\b)",
}  # fmt: skip
"""What the patterns are made of."""


class Slot(NamedTuple):
    """What a rule's facts are about."""

    concepts: tuple[str, ...]
    """Concepts by which questions ask for it."""
    is_single: bool = True
    """A newer one takes an older one's place; otherwise each value stands for itself."""


SLOTS = {
    "name": Slot(("name",)),
    "age": Slot(("age",)),
    "birthday": Slot(("birthday", "date", "day", "age")),
    "origin": Slot(("origin",)),
    "home": Slot(("home",)),
    "job": Slot(("job",)),
    "employer": Slot(("employer", "job")),
    "kin": Slot(("name",), is_single=False),
    "pet": Slot(("pet", "name"), is_single=False),
    "car": Slot(("car", "brand", "model")),
    "team": Slot(("team", "football", "sport")),
    "allergy": Slot(("allergy", "food"), is_single=False),
    "diet": Slot(("diet", "food", "allergy")),
    "like": Slot(("like",), is_single=False),
    "dislike": Slot(("dislike", "like"), is_single=False),
    "favourite": Slot(("like",)),
    "language": Slot(("language", "study"), is_single=False),
    "study": Slot(("study", "school")),
    "plan": Slot(("plan",), is_single=False),
    "travel": Slot(("travel", "plan"), is_single=False),
    "health": Slot(("health", "illness"), is_single=False),
    "status": Slot(("partner",)),
    "own": Slot((), is_single=False),
    "mine": Slot(()),
}
"""Every slot. `kin`, `pet` and `favourite` are kept per kind; `mine` per thing: «my X is Y»."""

RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("name", r"\bmy (?:full |first |last )?name(?:'s|’s| is) {v}"),
        ("name", r"\b(?:please |just |you can )?call me {n}"),
        ("name", r"\b(?:everyone|everybody|people|friends|they) calls? me {n}"),
        ("age", r"{i-am} {adv-en}{num}(?: years? old| y/?o\b|(?= ?[.,!]| ?$))"),
        ("age", r"\bi {adv-en}turned {num}\b"),
        ("birthday", r"\bmy birthday(?:'s|’s| is)(?: on)? {v}"),
        ("birthday", r"\bi was born on {v}"),
        ("origin", r"{i-am} (?:originally )?from {v}"),
        ("origin", r"\bi (?:was born|grew up) in {v}"),
        ("home", r"{i-have} {adv-en}(?:live|lived|been living|reside|resided|settled|settled down) {adv-en}(?:in|near|at|on|outside) {v}"),
        ("home", r"{i-am} {adv-en}(?:living|based|settled|residing) {adv-en}(?:in|near|at|outside) {v}"),
        (
            "home",
            r"\b(?:i|we)(?:'ve|’ve| have|'re|’re| are|'m|’m| am)? {adv-en}(?:moved|relocated)(?: back| house| home"
            r"| over| again,?)?(?: from [^,.;]{1,30}?)? to (?!(?:the |a |an |my )?(?:[\w-]+ )?(?:team|project|department|role"
            r"|position|step|version|desk|seat|cloud|aws|azure|python|linux|next|other|front|back)\b){v}",
        ),
        ("home", r"\bhere in (?P<v>[^,.;:!?()\n]{1,60}),? where i live"),
        ("home", r"\bmy (?:new |home |current )*address is (?:now )?(?:in |at )?{v}"),
        ("home", r"\bmy (?:new )?(?:home|house|flat|apartment|place) is {adv-en}(?:in|at|near) {v}"),
        ("job", r"\bi {adv-en}work(?:ed)? as (?:an? |the )?{v}"),
        (
            "job",
            r"\bi(?:'m|’m| am| was| got|'ve been|’ve been| have been) {adv-en}(?:hired|employed|promoted|working)"
            r" (?:as|to) (?:an? |the )?{v}",
        ),
        ("job", r"{i-am} {adv-en}(?:working as )?(?:an? |the ){not-work-en}{work-en}\b"),
        ("job", r"\bi {adv-en}(?:teach|run|manage|lead|coach|own) (?P<v>(?!(?:every|in|on|at|for|to|with|from|late|out|a marathon)\b)[^,.;:!?()\n]{1,60})"),
        ("job", r"{i-am} {adv-en}(?P<v>retired|unemployed|self-employed|between jobs)\b"),
        ("job", r"\bi {adv-en}(?:became|started as|started working as|retrained as) (?:an? |the )?{v}"),
        ("job", r"\bmy (?:new |current )?(?:job|profession|occupation|position|job title) is {adv-en}(?:an? )?{v}"),
        ("job", r"\bi {adv-en}(?:have|got|started|took|accepted|found) (?:a |my )?(?:new )?(?:job|position|role) as (?:an? )?{v}"),
        ("employer", r"\bi(?:'ve|’ve| have)? {adv-en}(?:work|worked|been working) (?:at|for) {v}"),
        ("employer", r"\bi(?:'ve|’ve| have)? {adv-en}(?:joined|started (?:working )?(?:at|for)|got a job (?:at|with)) {v}"),
        ("kin", r"\b(?:my|our) {kin-en}(?:'s|’s) name is {v}"),
        ("kin", r"\b(?:my|our) (?:\w+ )?{kin-en},? (?:is )?(?:called |named )?{n}"),
        ("pet", r"\b(?:my|our) {pet-en}(?:'s|’s) name is {v}"),
        ("pet", r"\b(?:my|our) (?:\w+ )?{pet-en},? (?:is )?(?:called |named )?{n}"),
        (
            "pet",
            r"\b(?:i|we)(?:'ve|’ve| have)? {adv-en}(?:have|got|own|adopted|bought|rescued) (?:a|an|another)"
            r" (?:[\w-]+ ){0,3}?{pet-en}\b(?:[^.!?\n]{0,60}?\b(?:named|called|name is|name's)(?: it| him| her)? {n})?",
        ),
        ("car", r"\bi {adv-en}(?:drive|own) (?:an? |my ){v}"),
        ("car", r"\b(?:my|our) (?:new |current )?car is (?:now )?(?:an? )?{v}"),
        ("car", r"\b(?:i|we) {adv-en}(?:bought|purchased|leased) (?:an? )(?P<v>[^,.;:!?()\n]{1,40}?) (?:car|suv|truck|van)\b"),
        ("team", r"\bi {adv-en}(?:support|root for|cheer for) (?P<v>(?:the )?(?-i:[A-Z])[^,.;:!?()\n]{1,40})"),
        ("team", r"{i-am} {adv-en}a (?:huge |big |lifelong )?(?P<v>(?-i:[A-Z])[\w -]{1,30}) (?:fan|supporter)\b"),
        ("team", r"\bmy (?:favou?rite )?(?:football |soccer |baseball |basketball )?team is {v}"),
        ("allergy", r"\ballergic(?: reaction)? to {v}"),
        ("allergy", r"{i-am} allergic,? so no (?P<v>[^,.;:!?()\n]{1,40}?)(?: for me| please)?(?=[,.;!?]|$)"),
        ("allergy", r"\bi(?:'ve|’ve| have|'ve got) an? (?P<v>[\w -]{2,30}) (?:allergy|intolerance)\b"),
        ("allergy", r"{i-am} (?P<v>[\w-]{3,20}) intolerant\b"),
        ("allergy", r"\b(?:told me to |have to |must |need to )avoid (?P<v>[^,.;:!?()\n]{1,40}?)(?: because| due| for|(?=[,.;!?]|$))"),
        ("allergy", r"\bi (?:can't|can’t|cannot|can not|must not|mustn't|shouldn't|don't|don’t) eat {v}"),
        ("diet", r"\bi(?:'m|’m| am|'ve been|’ve been| have been) {adv-en}(?:an? )?(?:strict(?:ly)? )?(?P<v>vegan|vegetarian|pescatarian|on a [\w-]+ diet)\b"),
        ("diet", r"\bi {adv-en}(?:became|went|turned) (?:an? )?(?P<v>vegan|vegetarian|pescatarian|keto)\b"),
        ("diet", r"\bi(?:'ve|’ve| have)? {adv-en}(?:stopped eating|no longer eat|gave up|given up) {v}"),
        ("favourite", r"\bmy (?:new |all-time )?favou?rite {k} (?:is|are) {adv-en}{v}"),
        ("like", r"\bi {adv-en}(?:love|like|prefer|enjoy|adore) (?!to (?:know|ask|hear|see)|it\b|that\b|this\b|how\b|what\b|if\b|your?\b){v}"),
        ("dislike", r"\bi {adv-en}(?:hate|dislike|can't stand|can’t stand|cannot stand|don't like|don’t like|detest) (?!it\b|that\b|this\b|how\b|when\b){v}"),
        (
            "language",
            r"\bi(?:'m|’m| am|'ve been|’ve been| have been| started| began)? {adv-en}(?:learning|studying|to learn|learn|speak)"
            r" (?P<v>(?-i:[A-Z])[a-z]+(?: and (?-i:[A-Z])[a-z]+)?)",
        ),
        ("study", r"\bi(?:'m|’m| am)? {adv-en}(?:study|studying|majoring in|enrolled in|doing a (?:degree|phd|master's) in) (?P<v>(?-i:[a-z])[^,.;:!?()\n]{1,60})"),
        ("travel", r"{i-am} {adv-en}(?:flying|travell?ing|going on (?:a trip|holiday|vacation)) to {v}"),
        ("travel", r"\b(?:i|we)(?:'ve|’ve| have)? {adv-en}booked {v}"),
        ("plan", r"\b(?:i|we)(?:'m|’m| am|'re|’re| are)? {adv-en}(?:plan|planning|intend|intending|hope|hoping|aim|aiming|going) to (?!(?:know|ask|use|write|make|try|need|do|be able)\b){v}"),
        ("plan", r"\bmy (?:goal|plan|dream|new year's resolution) (?:is|for [^,.;]{1,30} is) (?:to )?{v}"),
        ("health", r"\bi(?:'ve|’ve)? {adv-en}(?:have|got|suffer from|was diagnosed with|got diagnosed with|been diagnosed with) {ill-en}"),
        ("health", r"{i-am} (?P<v>diabetic|asthmatic|c[o]?eliac|pregnant|epileptic|colou?r[ -]?blind)\b"),
        ("status", r"{i-am} {adv-en}(?P<v>married|single|divorced|engaged|widowed|dating [^,.;]{2,40})"),
        ("status", r"\b(?:i|we) {adv-en}(?:got|were) (?P<v>married|divorced|engaged)\b"),
        ("own", r"\b(?:i|we) {adv-en}(?:bought|purchased|own|got myself) (?:an? |my |the )(?:new )?{v}"),
        ("job", r"\bi(?:'ve|’ve)? {adv-en}(?:got|been|was) promoted to {v}"),
        ("mine", r"\b(?:my|our) {k} (?:is|are|will be|starts|takes place|costs) {adv-en}(?:on |at |in |of )?{v}"),
        (
            "mine",
            r"\bthe (?P<k>(?:[\w-]+ )?(?:budget|deadline|meeting|appointment|wedding|party|trip|flight|exam|interview|rent"
            r"|launch|event|due date)(?: (?:for|of|with|to) [^,.;:!?()\n]{2,40}?)?) (?:is|was moved to|has been moved to"
            r"|will be|was changed to|is now) {adv-en}(?:on |at |in )?{v}",
        ),
    ),
    "pt": (
        ("name", r"\b(?:o )?meu nome (?:completo )?é {v}"),
        ("name", r"\b(?:eu )?me chamo {v}"),
        ("name", r"\b(?:pode(?:m)? me chamar|(?:todo mundo|todos) me chamam?) de {v}"),
        ("age", r"\b(?:eu )?{adv-pt}(?:tenho|fiz|completei|faço) {num} anos\b(?! de (?!idade))"),
        ("birthday", r"\b(?:o )?meu aniversário (?:é|cai)(?: no dia| em| dia)? {v}"),
        ("birthday", r"\b(?:eu )?nasci (?:no dia|em \d|dia) ?{v}"),
        ("origin", r"\b(?:eu )?sou (?:natural )?d[eoa] (?P<v>(?-i:[A-ZÀ-Ý])[^,.;:!?()\n]{1,60})"),
        ("origin", r"\b(?:eu )?(?:nasci|cresci) (?:em|no|na) {v}"),
        (
            "home",
            r"\b(?:eu |nós )?{adv-pt}(?:moro|morei|moramos|vivo|vivemos|resido|estou morando|estamos morando|passei a morar)(?: mais)?"
            r" {adv-pt}(?:em|no|na|nos|nas|perto d[eoa]|com) {v}",
        ),
        (
            "home",
            r"\b(?:eu |nós )?{adv-pt}(?:me mudei|nos mudamos|mudei|mudamos|me mudar|mudei-me|fui morar|me estabeleci|me instalei)(?: d[eoa] [^,.;]{1,30}?)?"
            r" (?:de casa |de volta |de novo,? |outra vez,? )*(?:agora )?(?:para|pra|pro|em|no|na) (?!(?:[oa] )?(?:time|projeto|equipe|departamento|versão|python|linux)\b){v}",
        ),
        ("home", r"\baqui (?:em|no|na) (?P<v>[^,.;:!?()\n]{1,60}),? onde (?:eu )?(?:moro|vivo|resido)"),
        ("home", r"\bmeu (?:novo )?endereço (?:atual |novo )?(?:agora )?(?:é|fica)(?: agora)?(?: em| no| na)? {v}"),
        ("home", r"\bminha (?:nova )?casa (?:é|fica) {adv-pt}(?:em|no|na) {v}"),
        ("job", r"\b(?:eu )?{adv-pt}(?:trabalho|trabalhei|atuo|estou trabalhando|passei a trabalhar|comecei a trabalhar) como {v}"),
        ("job", r"\b(?:eu )?{adv-pt}(?:fui|sou|estou) (?:contratad[oa]|empregad[oa]|promovid[oa]) (?:como|a|à|para) {v}"),
        (
            "job",
            r"\b(?:eu )?(?:agora )?sou (?:uma? )?(?!torcedor|morador|brasileir|estrangeir|solteir|herdeir|verdadeir)(?P<v>(?:[\w-]+ )?[\w-]*(?:ista|eir[oa]|ador|adora|edor|edora|idor|idora|tora?|"
            r"gad[oa]|nári[oa]|etário|etária|logo|loga|ólog[oa]|iteto|iteta|nheir[oa]|essora?|ântic[oa]|fessora?|médic[oa]|piloto|chef"
            r"|contadora?|analista|gerente|estagiári[oa]|estudante|aposentad[oa]|autônom[oa]|policial|bombeir[oa]|enfermeir[oa]"
            r"|músic[oa]|atriz|ator|cientista|farmacêutic[oa]|secretári[oa]|tradutora?|desempregad[oa]|garçom|professora?))\b"
        ),
        ("job", r"\b(?:eu )?{adv-pt}(?:dou aulas? de|ensino|gerencio|administro|dirijo (?=uma? (?:empresa|loja|escola))) ?{v}"),
        ("job", r"\b(?:eu )?{adv-pt}(?:tenho|abri|toco) (?:uma |um )?(?P<v>(?:\w+ )?(?:padaria|loja|empresa|restaurante|oficina|salão|consultório|negócio)\b[^,.;:!?()\n]{0,30})"),
        ("job", r"\b(?:eu )?{adv-pt}(?:virei|me tornei|passei a ser|comecei como) (?:uma? )?{v}"),
        ("job", r"\bminha (?:nova |atual )?(?:profissão|ocupação|função) (?:atual |agora )?é {v}"),
        ("job", r"\bmeu (?:novo |atual )?(?:emprego|trabalho|cargo) (?:atual |agora )?é (?:de |como )?{v}"),
        ("employer", r"\b(?:eu )?{adv-pt}(?:trabalho|trabalhei|comecei a trabalhar|estou trabalhando|entrei) (?:na|no|em|para [oa]|pra) {v}"),
        ("kin", r"\bo nome d[oa] (?:meu|minha) {kin-pt} é {v}"),
        ("kin", r"\b(?:meu|minha|nosso|nossa) (?:\w+ )?{kin-pt},? (?:se chama |chama-se |é (?:a |o )?)?{n}"),
        ("pet", r"\bo nome d[oa] (?:meu|minha|nosso|nossa) {pet-pt} é {v}"),
        ("pet", r"\b(?:meu|minha|nosso|nossa) {pet-pt},? (?:se chama |chama-se |é (?:a |o )?)?{n}"),
        (
            "pet",
            r"\b(?:eu |nós )?{adv-pt}(?:tenho|temos|adotei|adotamos|comprei|compramos|ganhei|ganhamos|resgatei|resgatamos|adotar)"
            r" (?:uma?|outr[oa]) (?:[\w-]+ ){0,2}?{pet-pt}\b(?:[^.!?\n]{0,60}?\b(?:chama-se|se chama|chamad[oa]|nome (?:de|é|dele é|dela é)"
            r"|chamei(?: de)?|batizei(?: de)?) {n})?",
        ),
        ("car", r"\b(?:eu )?{adv-pt}dirijo (?:uma? |meu |minha ){v}"),
        ("car", r"\b(?:o )?meu (?:novo )?carro (?:novo |agora )?é (?:uma? )?{v}"),
        ("car", r"\b(?:eu )?{adv-pt}comprei um carro(?: novo)?[,:]? (?:uma? ){v}"),
        ("team", r"\b(?:eu )?{adv-pt}(?:torço|torcemos) (?:para|pro|pra|pelo|pela)(?: [oa])? {v}"),
        ("team", r"\b(?:o )?meu time (?:de futebol |do coração )?é (?:[oa] )?{v}"),
        ("team", r"\b(?:eu )?sou (?P<v>flamenguista|corintiano|corintiana|palmeirense|são-paulino|gremista|colorado|vascaíno|santista|cruzeirense|botafoguense|tricolor)\b"),
        ("allergy", r"\b(?:alérgic[oa]|alergia|intolerante|intolerância) (?:a|à|ao|aos|às) {v}"),
        ("allergy", r"\b(?:eu )?não (?:posso|devo|consigo) (?:mais )?comer {v}"),
        ("allergy", r"\b(?:proibiu|cortou|mandou (?:evitar|cortar)|preciso evitar|tenho que evitar|devo evitar) (?P<v>[^,.;:!?()\n]{1,40}?)(?: por causa| devido| por conta|(?=[,.;!?]|$))"),
        ("diet", r"\b(?:eu )?{adv-pt}(?:sou|virei|me tornei) (?P<v>vegan[oa]|vegetarian[oa]|pescetarian[oa])\b"),
        ("diet", r"\b(?:eu )?{adv-pt}(?:parei de comer|não como mais|deixei de comer|não como) {v}"),
        ("favourite", r"\b(?:meu|minha) {k} (?:favorit[oa]|preferid[oa]) (?:agora )?é {v}"),
        ("favourite", r"\b(?:meu|minha) (?:favorit[oa]|preferid[oa]) {k} é {v}"),
        ("like", r"\b(?:eu )?{adv-pt}(?:adoro|amo|prefiro|curto|gosto(?: muito| mais)? d[eoa]s?) (?!saber\b|isso\b|quando\b){v}"),
        ("dislike", r"\b(?:eu )?(?:odeio|detesto|não suporto|não gosto d[eoa]s?|não curto) (?!isso\b|quando\b){v}"),
        (
            "language",
            r"\b(?:eu )?{adv-pt}(?:comecei a (?:estudar|aprender)|estou (?:estudando|aprendendo)|estudo|aprendo|falo|passei a estudar)"
            r" (?P<v>(?:inglês|espanhol|português|francês|alemão|italiano|japonês|coreano|chinês|mandarim|russo|árabe|holandês|sueco"
            r"|norueguês|polonês|turco|grego|hebraico|hindi|latim|libras|esperanto)(?: e [\wê]+)?)",
        ),
        ("study", r"\b(?:eu )?{adv-pt}(?:faço (?:faculdade|graduação|mestrado|doutorado|curso) (?:de|em)|curso|estudo|comecei a estudar|estou cursando) {v}"),
        ("travel", r"\b(?:eu |nós )?{adv-pt}(?:vou viajar|vamos viajar|viajo|viajarei|viajaremos|embarco) (?:para|pra|pro|a) {v}"),
        ("travel", r"\b(?:eu |nós )?{adv-pt}(?:reservei|reservamos|comprei passagens? (?:para|pra)) {v}"),
        ("plan", r"\b(?:eu |nós )?{adv-pt}(?:pretendo|pretendemos|planejo|planejamos|estou planejando|decidi) (?!saber\b){v}"),
        ("plan", r"\b(?:meu plano|minha meta|meu objetivo|meu sonho) (?:[^,.;]{0,30}? )?é {v}"),
        ("plan", r"\b(?:eu )?vou (?P<v>(?:me )?(?:casar|mudar|começar|correr|comprar|fazer uma? (?:prova|cirurgia|curso|viagem)|defender)\b[^,.;:!?()\n]{0,60})"),
        ("health", r"\b(?:eu )?{adv-pt}(?:tenho|sofro (?:de|com)|fui diagnosticad[oa] com|descobri que tenho) {ill-pt}"),
        ("health", r"\b(?:eu )?(?:sou|estou) (?P<v>diabétic[oa]|asmátic[oa]|celíac[oa]|hipertens[oa]|grávida|daltônic[oa])\b"),
        ("status", r"\b(?:eu )?{adv-pt}(?:sou|estou|fiquei) (?P<v>casad[oa]|solteir[oa]|divorciad[oa]|viúv[oa]|noiv[oa])\b"),
        ("status", r"\b(?:eu |nós )?{adv-pt}(?:me |nos )?(?P<v>casei|divorciei|separei|casamos|noivei)\b"),
        ("own", r"\b(?:eu |nós )?{adv-pt}(?:comprei|compramos|ganhei) (?:uma? |[oa] ){v}"),
        ("mine", r"\b(?:meu|minha|meus|minhas|nosso|nossa) {k} (?:agora )?(?:é|são|será|vai ser|fica|custa|começa|acontece)(?: agora)? (?:em |no |na |de |toda |todo |às )?{v}"),
        (
            "mine",
            r"\b[oa] (?P<k>(?:orçamento|prazo|reunião|consulta|casamento|festa|viagem|voo|prova|entrevista|aluguel|lançamento|evento)"
            r"(?: (?:para|d[eoa]|com) [^,.;:!?()\n]{2,40}?)?) (?:agora )?(?:é|será|foi (?:mudad[oa]|adiad[oa]|remarcad[oa]) para|vai ser|ficou para)"
            r" (?:em |no |na |de )?{v}",
        ),
    ),
    "es": (
        ("name", r"\b(?:mi nombre (?:completo )?es|(?:yo )?me llamo) {v}"),
        ("name", r"\b(?:puede[sn]? llamarme|todos me llaman|todo el mundo me llama) {v}"),
        ("age", r"\b(?:yo )?{adv-es}(?:tengo|cumplí|cumplo) {num} años\b(?! de (?!edad))"),
        ("birthday", r"\bmi cumpleaños (?:es|cae)(?: el)? {v}"),
        ("birthday", r"\b(?:yo )?nací el {v}"),
        ("origin", r"\b(?:yo )?soy (?:originari[oa] )?de(?:l)? (?P<v>(?-i:[A-ZÀ-Ý])[^,.;:!?()\n]{1,60})"),
        ("origin", r"\b(?:yo )?(?:nací|crecí) en {v}"),
        ("home", r"\b(?:yo )?{adv-es}(?:vivo|viví|vivimos|resido|estoy viviendo|estamos viviendo|llevo [\w ]{1,20} viviendo) {adv-es}(?:en|cerca de|con) {v}"),
        (
            "home",
            r"\b(?:yo )?{adv-es}(?:me mudé|nos mudamos|me acabo de mudar|acabo de mudarme|acabamos de mudarnos|me he mudado|nos hemos mudado"
            r"|me trasladé|nos trasladamos|me fui a vivir|me instalé|nos instalamos|me establecí)(?: de [^,.;]{1,30}?)? (?:de casa )?(?:otra vez,? |de nuevo,? )?(?:ahora )?(?:a|al|para|en) (?!(?:el |la )?(?:equipo|proyecto|departamento|versión|python|linux)\b){v}",
        ),
        ("home", r"\baquí en (?P<v>[^,.;:!?()\n]{1,60}),? donde (?:yo )?(?:vivo|resido)"),
        ("home", r"\bmi (?:nueva )?(?:dirección|casa|domicilio|piso|departamento) (?:nueva |actual )?(?:ahora )?(?:es|está|queda) (?:ahora )?(?:en )?{v}"),
        ("job", r"\b(?:yo )?{adv-es}(?:trabajo|trabajé|estoy trabajando|empecé a trabajar|comencé a trabajar) (?:como|de) {v}"),
        ("job", r"\b(?:me (?:han )?contrat(?:aron|ado)|fui contratad[oa]|me ascendieron|me han ascendido|me dedico) (?:como|de|a) {v}"),
        (
            "job",
            r"\b(?:yo )?(?:ahora )?soy (?:una? )?(?!solter|extranjer|verdader|mexican|seguidor|jugador|heredero)(?P<v>(?:[\w-]+ )?[\w-]*(?:ista|er[oa]|ador|adora|edor|edora|tora?|gad[oa]|nari[oa]|etari[oa]"
            r"|ólog[oa]|itect[oa]|ieri[oa]|esora?|médic[oa]|piloto|chef|contadora?|analista|gerente|becari[oa]|estudiante|jubilad[oa]"
            r"|autónom[oa]|policía|músic[oa]|actriz|actor|científic[oa]|farmacéutic[oa]|maestr[oa]|conductora?|chofer|desemplead[oa]))\b",
        ),
        ("job", r"\b(?:yo )?{adv-es}(?:doy clases de|enseño|gestiono|dirijo) {v}"),
        ("job", r"\b(?:yo )?{adv-es}(?:tengo|abrí|llevo) (?:una |un )?(?P<v>(?:\w+ )?(?:panadería|tienda|empresa|restaurante|taller|peluquería|consulta|negocio)\b[^,.;:!?()\n]{0,30})"),
        ("job", r"\b(?:yo )?{adv-es}(?:me convertí en|pasé a ser|empecé como) (?:una? )?{v}"),
        ("job", r"\bmi (?:nueva? |actual )?(?:profesión|ocupación|trabajo|puesto|cargo|empleo) (?:actual )?(?:ahora )?es (?:el de |de |como )?{v}"),
        ("employer", r"\b(?:yo )?{adv-es}(?:trabajo|trabajé|empecé a trabajar|estoy trabajando|entré) (?:en|para) {v}"),
        ("kin", r"\bel nombre de mi {kin-es} es {v}"),
        ("kin", r"\b(?:mi|nuestr[oa]) (?:\w+ )?{kin-es},? (?:se llama |es )?{n}"),
        ("pet", r"\bel nombre de (?:mi|nuestr[oa]) {pet-es} es {v}"),
        ("pet", r"\b(?:mi|nuestr[oa]) {pet-es},? (?:se llama |es )?{n}"),
        (
            "pet",
            r"\b(?:yo )?{adv-es}(?:tengo|tenemos|adopté|adoptamos|compré|compramos|rescaté|rescatamos|he adoptado|hemos adoptado)"
            r" (?:una?|otr[oa]) (?:[\w-]+ ){0,2}?{pet-es}\b(?:[^.!?\n]{0,60}?\b(?:se llama|llamad[oa]|(?:lo|la|le) llam(?:é|amos)|nombre (?:es|de)|(?:le|lo|la) puse) {n})?",
        ),
        ("car", r"\b(?:yo )?{adv-es}(?:conduzco|manejo) (?:una? |mi ){v}"),
        ("car", r"\bmi (?:nuevo )?(?:coche|carro|auto) (?:nuevo )?(?:ahora )?es (?:una? )?{v}"),
        ("car", r"\b(?:yo )?(?:me )?{adv-es}compré un (?:coche|carro|auto)(?: nuevo)?[,:]? (?:una? ){v}"),
        ("team", r"\b(?:yo )?soy (?:hincha|aficionad[oa]|seguidora?|fan) de(?:l| la)? {v}"),
        ("team", r"\bmi equipo (?:de fútbol |favorito )?es (?:el )?{v}"),
        ("allergy", r"\b(?:alérgic[oa]|alergia|intolerante|intolerancia) (?:a|al|a la|a los|a las) {v}"),
        ("allergy", r"\b(?:yo )?no (?:puedo|debo) (?:ya )?comer {v}"),
        ("allergy", r"\b(?:prohibió|quitó|mandó evitar|debo evitar|tengo que evitar) (?P<v>[^,.;:!?()\n]{1,40}?)(?: por mi| por culpa| debido| a causa|(?=[,.;!?]|$))"),
        ("diet", r"\b(?:yo )?{adv-es}(?:soy|me hice|me volví) (?P<v>vegan[oa]|vegetarian[oa]|pescetarian[oa])\b"),
        ("diet", r"\b(?:yo )?{adv-es}(?:dejé de comer|ya no como|no como) {v}"),
        ("favourite", r"\bmi {k} (?:favorit[oa]|preferid[oa]) (?:ahora )?es {v}"),
        ("like", r"\b(?:me gustan?|me encantan?|adoro|prefiero|me apasionan?)(?: mucho| más)? (?!saber\b|eso\b|esto\b|cuando\b|que\b){v}"),
        ("dislike", r"\b(?:odio|detesto|no soporto|no me gustan?) (?!eso\b|cuando\b|que\b){v}"),
        (
            "language",
            r"\b(?:yo )?{adv-es}(?:empecé a (?:estudiar|aprender)|estoy (?:estudiando|aprendiendo)|estudio|aprendo|hablo|comencé a (?:estudiar|aprender))"
            r" (?P<v>(?:inglés|español|portugués|francés|alemán|italiano|japonés|coreano|chino|mandarín|ruso|árabe|holandés|sueco"
            r"|noruego|polaco|turco|griego|hebreo|hindi|latín|esperanto)(?: y [\wé]+)?)",
        ),
        ("study", r"\b(?:yo )?{adv-es}(?:estudio|estoy estudiando|curso|hago (?:un (?:máster|doctorado|curso) (?:de|en)|la carrera de)) {v}"),
        ("travel", r"\b(?:yo )?{adv-es}(?:voy a viajar|vamos a viajar|viajo|viajaré|vuelo) a {v}"),
        ("travel", r"\b(?:yo )?{adv-es}(?:reservé|reservamos|he reservado|compré (?:un )?(?:billetes?|pasajes?|boletos?) (?:para|a)) {v}"),
        ("plan", r"\b(?:yo )?{adv-es}(?:pretendo|planeo|pienso|tengo pensado|decidí|estoy planeando) (?!que\b|saber\b){v}"),
        ("plan", r"\bmi (?:plan|meta|objetivo|sueño) (?:[^,.;]{0,30}? )?es {v}"),
        ("plan", r"\b(?:yo )?voy a (?P<v>(?:casarme|mudarme|empezar|correr|comprar|hacer un(?:a)? (?:examen|cirugía|curso|viaje)|defender)\b[^,.;:!?()\n]{0,60})"),
        ("health", r"\b(?:yo )?{adv-es}(?:tengo|sufro de|padezco|me diagnosticaron) {ill-es}"),
        ("health", r"\b(?:yo )?(?:soy|estoy) (?P<v>diabétic[oa]|asmátic[oa]|celíac[oa]|hipertens[oa]|embarazada|daltónic[oa])\b"),
        ("status", r"\b(?:yo )?{adv-es}(?:soy|estoy) (?P<v>casad[oa]|solter[oa]|divorciad[oa]|viud[oa]|prometid[oa])\b"),
        ("status", r"\b(?:yo )?{adv-es}(?:me |nos )(?P<v>casé|divorcié|separé|casamos|comprometí)\b"),
        ("own", r"\b(?:yo )?(?:me )?{adv-es}(?:compré|compramos|he comprado) (?:una? |el |la ){v}"),
        ("mine", r"\b(?:mi|mis|nuestr[oa]) {k} (?:ahora )?(?:es|son|será|va a ser|cuesta|empieza|queda)(?: ahora)? (?:en |el |los |las |de |todos los |a las )?{v}"),
        (
            "mine",
            r"\b(?:el|la) (?P<k>(?:presupuesto|plazo|reunión|cita|boda|fiesta|viaje|vuelo|examen|entrevista|alquiler|renta|lanzamiento|evento)"
            r"(?: (?:para|de(?:l| la)?|con) [^,.;:!?()\n]{2,40}?)?) (?:ahora )?(?:es|será|se (?:cambió|pasó|movió) (?:a|al)|va a ser) (?:en |el |de )?{v}",
        ),
    ),
}  # fmt: skip
"""Rules by language; of one sentence each slot takes its first value."""

IDLE = {
    "en": r"\b(?:if (?:i|we|my)|imagine|imagining|suppose|supposing|pretend|what if|let's say|let’s say|say i|as if|"
    r"hypothetically|in theory|would|wouldn't|could|might|i wish|should i|i'd|i’d|maybe i|perhaps i|"
    r"role-?play|in (?:the|my|this) (?:story|novel|book|scene|poem|song)|for example|e\.g\.|such as \"|act as|once upon a time)\b",
    "pt": r"\b(?:se eu|se nós|se a gente|se minha|se meu|imagine|imagina|imaginando|suponha|supondo|suponhamos|vamos supor|"
    r"digamos|faz de conta|faça de conta|finja|fingindo|como se|hipoteticamente|em teoria|quem dera|queria que|gostaria|"
    r"talvez eu|na (?:história|cena|música)|no (?:livro|romance|conto|poema)|por exemplo|era uma vez|aja como)\b",
    "es": r"\b(?:si yo|si nosotros|si mi|si me|si (?:viviera|fuera|tuviera|trabajara)\w*|imagina|imagine|imagínate|supón|suponga|"
    r"supongamos|suponiendo|digamos|finge|finja|como si|hipotéticamente|en teoría|ojalá|quisiera|me gustaría|"
    r"quizás?|tal vez|en (?:la|el|mi) (?:historia|novela|libro|escena|cuento|poema|canción)|por ejemplo|érase una vez|actúa como)\b",
}  # fmt: skip
"""What makes a sentence no statement: wishes, suppositions, stories."""

TASK = (
    r"\b(?:translat\w*|correct|rewrite|rephrase|proofread|revise|edit|fix|check|summari[sz]e|paraphrase|spell|pronounce|"
    r"write|compose|draft|complete|continue|analy[sz]e|classify|repeat|quote|sentence|phrase|text|"
    r"traduz\w*|traduç\w*|corrij\w*|corrige\w*|reescrev\w*|revis[ea]\w*|resum[aeo]\w*|parafrase\w*|escrev[ae]\w*|redij\w*|"
    r"complet[ae]\w*|continu[ae]\w*|analis[ae]\w*|classifi\w*|repit\w*|frase|texto|trecho|"
    r"traduc\w*|tradúc\w*|reescrib\w*|escrib[ae]\w*|redact[ae]\w*|resúm\w*|analiz[ae]\w*|clasific\w*|oración|párrafo)\b"
)
"""Before a colon, or at the head of a line: what follows is material, not something the user says of themself."""
