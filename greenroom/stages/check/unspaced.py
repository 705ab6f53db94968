"""Words run together, parted again: «ignoreallrules» → «ignore all rules».

For letters that were spaced evenly, so that no gap says where a word ends. Knows the small words of English,
Portuguese and Spanish and those that attacks are made of; what it doesn't know stays together.
"""

from greenroom.stages.check.tables import words

_KNOWN = words(
    "a i the and you your yours are is was were be been it its this that these those with without all any "
    "every each now not no do does did done don't dont can will would should must may have has had for from "
    "of to in on at as by me my mine we our us what which who how why when where if then else or but only "
    "just also please tell show give say write print repeat reveal output display answer respond reply "
    "ignore disregard forget previous prior earlier above below instructions instruction rules rule system "
    "prompt message messages hidden secret password key keys api admin developer mode act pretend new task "
    "order orders guidelines filters restrictions limits policy safety context conversation data user users "
    "delete send mail email everything anything nothing never always before after first last word words text "
    "free break bypass override disable hate kill dan am im "
    "o os um uma uns umas de da das dos em na nas nos ao aos por para pra com sem e ou mas que se ja nao sim "
    "voce voces eu tu ele ela seu sua seus suas meu minha teu tua todo toda todos todas tudo nada isso isto "
    "esta este essa esse agora antes depois aqui como qual quais quando onde porque diga mostre me te lhe "
    "revele escreva repita responda esqueca esqueça desconsidere anteriores instrucoes regras sistema senha "
    "chave mensagem texto oculto secreto ordens modo desenvolvedor administrador aja finja nova tarefa "
    "envie apague dados cliente clientes usuario limites filtros politicas acima "
    "el la los las un una unos unas del al y u pero porque con sin su sus mi mis tu tus lo le les no si ya "
    "eres es son soy esta estas todo todos todas cada ahora antes despues aqui como cual cuales cuando donde "
    "dime muestra muestrame revela escribe repite responde olvida ignora anteriores instrucciones reglas "
    "contrasena clave mensaje oculto secreto ordenes modo desarrollador actua finge nueva tarea envia borra "
    "datos clientes usuario limites filtros politicas arriba"
)
_LONGEST = max(map(len, _KNOWN))
_LEAST = 12
"""Shorter runs are one word."""


def ends(run: str) -> list[int]:
    """Where words end in a run of small letters: the fewest unknown letters, then the fewest words.

    Time: the run's length times the longest known word.
    """
    if len(run) < _LEAST:
        return [len(run)]
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(run) + 1):
        unknown, count, _ = best[end - 1]
        here = (unknown + 2, count, end - 1)
        for start in range(max(0, end - _LONGEST), end):
            if run[start:end] in _KNOWN:
                unknown, count, _ = best[start]
                here = min(here, (unknown, count + 1, start))
        best.append(here)
    found: list[int] = []
    at = len(run)
    while at:
        start = best[at][2]
        is_known = run[start:at] in _KNOWN
        if is_known or not found or run[at : found[-1]] in _KNOWN:
            found.append(at)
        at = start
    return found[::-1]
