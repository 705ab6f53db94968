"""Faults of Portuguese, Brazilian first; what European usage allows is left alone."""

import re

from greenroom.stages.postprocess.grammar.rules import rule

_INFINITIVES = (
    "fazer|ser|ter|ver|dizer|partir|ir|vir|dar|ler|pagar|usar|criar|enviar|receber|mudar|trabalhar|estudar|"
    "aprender|comprar|vender|escrever|abrir|fechar|começar|terminar|ajudar|resolver|explicar|entender|comer|"
    "beber|dormir|assinar|baixar|instalar|rodar|testar|configurar|responder|perguntar|procurar|encontrar"
)
_NOUNS = (
    "documento|pessoa|cliente|produto|serviço|arquivo|usuário|empresa|menino|menina|amigo|amiga|livro|carro|casa|"
    "problema|sistema|pedido|pagamento|dado|número|resultado|exemplo|projeto|relatório|funcionário|aluno|"
    "professor|trabalho|texto|palavra|frase|pergunta|resposta|página|tabela|conta|nota|valor|preço|prazo|item|"
    "objeto|regra|etapa|passo|ponto|detalhe|recurso|contrato|paciente|remédio|criança|homem|mulher|cidade|país|"
    "ano|dia|semana|hora|minuto|vez|coisa"
)
_PLURAL = {
    "professor": "professores", "valor": "valores", "item": "itens", "homem": "homens", "mulher": "mulheres",
    "país": "países", "vez": "vezes",
}  # fmt: skip
_TIME = r"(?:dias?|semanas?|m[eê]s(?:es)?|anos?|horas?|minutos?|séculos?|décadas?)"
_NUMBER = r"(?:\d{1,4}|um|uma|dois|duas|três|quatro|cinco|seis|sete|oito|nove|dez|quinze|vinte|trinta|muitos|alguns|vários)"


def _plural(match: re.Match[str]) -> str:
    noun = match[2].lower()
    return f"{match[1]} {_PLURAL.get(noun, noun + 's')}"


def _participle(match: re.Match[str]) -> str:
    return (
        match[1]
        + {"chego": "chegado", "trago": "trazido", "compro": "comprado", "falo": "falado", "pego": "pegado"}[
            match[2].lower()
        ]
    )


RULES = (
    rule("a_partir", "à partir", r"à partir d([eao]s?)", r"a partir d\1", "sem crase antes de verbo"),
    rule("crase_verb", "à ", rf"à ({_INFINITIVES})", r"a \1", "sem crase antes de verbo"),
    rule("crase_pronoun", "à ", r"à (ele|ela|eles|elas|você|vocês|mim|ti|nós|isso|isto|esse|essa|esses|essas|este|esta|estes|estas|todos|todas|cada|qualquer|ninguém|alguém|quem|cujo|cuja|algum|alguma|nenhum|nenhuma|um|uns|umas)", r"a \1", "sem crase antes de pronome ou artigo indefinido"),
    rule("crase_phrase", "à prazo|à pé|à cavalo|à lápis|à bordo|à respeito|à critério|à cargo|à princípio|à longo|à curto|à médio", r"à (prazo|pé|cavalo|lápis|bordo|respeito|critério|cargo|princípio|longo prazo|curto prazo|médio prazo)", r"a \1", "sem crase antes de palavra masculina"),
    rule("crase_hours", "começ|termin|cheg|abre|fecha|sai|marcad|agendad|amanhã|hoje|ontem|reuni", r"(começa|começam|começou|termina|terminam|terminou|chega|chegou|chegamos|abre|abrem|fecha|fecham|sai|saiu|marcad[oa]s?|agendad[oa]s?|amanhã|hoje|ontem|reunião|reuniões) as (\d{1,2}(?:h\d{0,2}|:\d{2}| horas))(?! (?:de|d[oa]s?|diárias|semanais|seguidas|trabalhadas)\b)", r"\1 às \2", "crase antes de hora marcada"),
    rule("crase_range", "das ", r"das (\d{1,2}(?:h\d{0,2}|:\d{2}| horas)?) as (\d{1,2}(?:h\d{0,2}|:\d{2}| horas))", r"das \1 às \2", "crase no fim do intervalo"),
    rule("as_vezes", "as vezes", r"(?<=[.!?] )as vezes|^as vezes(?=,)", "às vezes", "locução com crase"),
    rule("nivel", "à nível de", r"à nível de", "em nível de", "«em nível de»"),
    rule("faz_time", "fazem ", rf"(?:(?<=^)|(?<=[.!?] )|(?<=já )|(?<=, ))fazem (?=(?:mais de |cerca de |uns |umas |quase )?{_NUMBER} {_TIME}\b)", "faz ", "«fazer» de tempo é impessoal"),
    rule("vai_fazer", "vão fazer", rf"vão fazer (?={_NUMBER} {_TIME} que\b)", "vai fazer ", "«fazer» de tempo é impessoal"),
    rule("houve", "houveram", r"houveram (?=[a-zà-ú])", "houve ", "«haver» de existir é impessoal"),
    rule("havia", "haviam ", r"haviam (muit[oa]s|vári[oa]s|algun?s|algumas|pouc[oa]s|dois|duas|três|quatro|cinco|pessoas)", r"havia \1", "«haver» de existir é impessoal"),
    rule("ha_time", "trabalh|mor|existe |conhe|espero |aguardo |estou |está ", rf"(trabalho|trabalha|moro|mora|existe|conheço|conhece|espero|aguardo|estou|está) (aqui |nisso |lá |isso |nela |nele )?a ((?:mais de |cerca de )?{_NUMBER} {_TIME})(?= *(?:[.,;!?]|e\b|$))", r"\1 \2há \3", "tempo passado: «há»"),
    rule("para_eu", "deu |dê |mandou |pediu |trouxe |deixou |disse |falou |enviou |coisa|trabalho |tempo |hora |algo |nada |tarefa|isso ", rf"(deu|dê|mandou|pediu|trouxe|deixou|disse|falou|enviou|coisas?|trabalho|tempo|hora|algo|nada|tarefas?|isso) (para|pra) mim ({_INFINITIVES}) ", r"\1 \2 eu \3 ", "antes de infinitivo: «eu»"),
    rule("entre_mim", "entre eu e", r"entre eu e (você|ele|ela|eles|elas)", r"entre mim e \1", "depois de preposição: «mim»"),
    rule("menos", "menas", r"menas", "menos", "«menos» não varia"),
    rule("meio", "estou meia|está meia|estava meia|fiquei meia|ficou meia|ando meia|anda meia|sou meia|é meia", r"(estou|está|estava|fiquei|ficou|ando|anda|sou|é) meia (cansada|triste|perdida|confusa|nervosa|preocupada|irritada|chateada|doente|tonta|estranha)", r"\1 meio \2", "«meio» advérbio não varia"),
    rule("seja", "seje|sejem|esteje|estejem", r"(se|este)j(e|em)", lambda found: found[1] + "j" + ("a" if found[2].lower() == "e" else "am"), "subjuntivo"),
    rule("a_gente", "a gente vamos|a gente somos|a gente fomos|a gente temos|a gente estamos|a gente podemos|a gente precisamos|a gente queremos", r"a gente (vamos|somos|fomos|temos|estamos|podemos|precisamos|queremos)", lambda found: "a gente " + _GENTE[found[1].lower()], "«a gente» leva o verbo no singular"),
    rule("nos_vai", "nós vai|nós tem|nós está|nós quer|nós pode", r"(?:(?<=^)|(?<=[.!?] )|(?<=, ))nós (vai|tem|está|quer|pode)(?= )", lambda found: "nós " + _NOS[found[1].lower()], "concordância com «nós»"),
    rule("eles_tem", "eles |elas |vocês ", r"(?<!de )(?<!entre )(eles|elas|vocês) (?:(n[ãa]o|já|também|só|sempre|ainda) )?(t|v)em(?= )", lambda found: f"{found[1]} {found[2] + ' ' if found[2] else ''}{found[3]}êm", "plural com acento: «têm», «vêm»"),
    rule("noun_plural", "os |as |estas |essas |uns |umas |estes |estas |esses |essas |meus |minhas |seus |suas |muitos |muitas |vários |várias ", rf"((?:[ao]s|uns|umas|est[ea]s|ess[ea]s|meus|minhas|seus|suas|muit[oa]s|vári[oa]s)) ({_NOUNS})(?= (?:que|de|d[oa]s?|em|n[oa]s?|para|com|foram|são|estão|e|já|não|chegaram|ficaram|precisam|devem|podem|novos|novas)\b| *[.,;!?])", _plural, "concordância no plural"),
    rule("porque", "porque ", r"(?<![a-zà-ú,;:] )porque (você|vocês|eu não|ele não|ela não|será|o céu|a gente)(?=[^.!?\n]{0,160}\?)", r"por que \1", "pergunta: «por que»"),
    rule("por_que_end", "por que?", r"por que(?=\?)", "por quê", "no fim da pergunta: «por quê»"),
    rule("o_porque", "o por quê|o por que", r"o por qu[êe](?= (?:d[eoa]s?|disso|disto|dele|dela)\b|[.,!?])", "o porquê", "substantivo: «porquê»"),
    rule("afim", "afim de ", rf"afim de (?={_INFINITIVES})", "a fim de ", "finalidade: «a fim de»"),
    rule("joined", "concerteza|derrepente|apartir|porisso|denovo|encima", r"(concerteza|derrepente|apartir|porisso|denovo|encima)(?= )", lambda found: _JOINED[found[1].lower()], "escreve-se separado"),
    rule("mau_humor", "um mal |o mal |seu mal |meu mal |de mal |que mal ", r"(um|o|seu|meu|de|que) mal (humor|cheiro|hálito|exemplo)", r"\1 mau \2", "adjetivo: «mau»"),
    rule("participle", "tinha |havia |tinham |haviam |ter |tem ", r"((?:tinha|havia|tinham|haviam|ter|tem) )(chego|trago|compro|falo|pego)", _participle, "particípio regular"),
    rule("perda", "perca de tempo|perca de peso|perca total|perca de dinheiro", r"perca (de tempo|de peso|total|de dinheiro)", r"perda \1", "substantivo: «perda»"),
    rule("haja_vista", "haja visto", r"haja visto(?= (?:que|[oa]s?|um|uma)\b)", "haja vista", "expressão fixa"),
    rule("half_day", "meio dia e meio|meio-dia e meio", r"meio[- ]dia e meio", "meio-dia e meia", "meia hora"),
    rule("atraves", "atravez d", r"atravez (?=d)", "através ", "com «s» e acento"),
    rule("a_cerca", "à cerca de", r"à cerca d([eoa]s?)", r"acerca d\1", "sobre: «acerca de»"),
    rule("mais_but", "mais não |mais eu |mais ele |mais ela ", r"(?<=, )mais (não|eu|ele|ela) (?!que)(?=[a-zà-ú]+)", r"mas \1 ", "oposição: «mas»"),
    rule("menos_ruim", "menos pior", r"menos pior", "menos ruim", "um só comparativo"),
)  # fmt: skip

_GENTE: dict[str, str] = {
    "vamos": "vai", "somos": "é", "fomos": "foi", "temos": "tem", "estamos": "está", "podemos": "pode",
    "precisamos": "precisa", "queremos": "quer",
}  # fmt: skip
_NOS: dict[str, str] = {
    "vai": "vamos", "tem": "temos", "está": "estamos", "quer": "queremos",
    "pode": "podemos",
}  # fmt: skip
_JOINED: dict[str, str] = {
    "concerteza": "com certeza", "derrepente": "de repente", "apartir": "a partir", "porisso": "por isso",
    "denovo": "de novo", "encima": "em cima",
}  # fmt: skip
