"""Words that say what a number beside them is: «CPF», «order», «teléfono».

The nearest word decides. Words are compared in lower case; English, Portuguese and Spanish together, since
people mix them. Knows nothing of the numbers themselves.
"""

import re
from typing import NamedTuple

from greenroom.stages.check.tables import words

REACH = 64
"""Characters to the left that are looked at."""

_CUES = {
    "CPF": "cpf cpfs",
    "CNPJ": "cnpj cnpjs mei",
    "CNH": "cnh habilitação habilitacao motorista driver licence license",
    "PIS": "pis pasep nis nit",
    "TITULO_ELEITOR": "eleitor eleitoral",
    "CNS": "sus cns",
    "RG": "rg identidade",
    "CEP": "cep postal ceps",
    "CREDIT_CARD": (
        "cartão cartao cartões tarjeta tarjetas card cards visa mastercard amex credit crédito credito "
        "débito debit "
        "elo hipercard diners maestro cc pan"
    ),
    "US_SSN": "ssn social itin",
    "NIF": "dni nif nie cif documento",
    "IBAN": "iban",
    "PIX_KEY": "pix",
    "PLACA": "placa placas veículo veiculo carro moto caminhão plate",
    "IP": "ip ips",
    "BIRTH": (
        "nascido nascida nasceu nasci nascimento nasc birth born dob birthday birthdate nacido nacida "
        "nació naci nací "
        "nacimiento aniversário"
    ),
    "ADDRESS": (
        "endereço endereco rua avenida av alameda travessa praça rodovia estrada bairro mora moro reside "
        "entrega "
        "address street lives live living ship deliver delivery located residence dirección direccion "
        "domicilio calle "
        "vive vivo envíalo envíame envía"
    ),
    "PHONE": (
        "telefone telefones tel fone celular celulares cel whatsapp whats zap wpp telegram phone phones "
        "telephone "
        "mobile cell cellphone fax desk office landline móvil movil teléfono telefono teléfonos ligue "
        "liga ligar "
        "liguem llámame llama llame llamar llámanos ring dial disque sms ramal hotline"
    ),
    "REACH": "call contato contatos contacto contact reach text fale falar chame chamar chama escríbeme "
    "número numero",
    "OTHER": (
        "pedido pedidos rastreio rastreamento protocolo protocolos isbn issn order orders tracking "
        "invoice invoices "
        "fatura nf nfe danfe fiscal chamado ticket tickets factura facturas seguimiento expediente "
        "processo processos "
        "proceso commit trace traza versão versao version versión versions sku ean gtin upc barcode "
        "barras boleto serial "
        "série lote batch imei build release artigo article artículo doi pid hash checksum timestamp "
        "epoch unix total "
        "preço price precio custou custa costó cuesta costs valor amount item items product produto "
        "producto parcel "
        "shipment reference ref referência referencia caso case issue bug pi página page linha line "
        "línea error erro "
        "code código codigo id port porta puerto nfs danfes orçamento budget account conta cuenta "
        "agência receita "
        "population população population habitantes chave hexadecimal random aleatório model modelo part "
        "patent"
    ),
}

_KIND = {word: kind for kind, names in _CUES.items() for word in names.split()}
_letters = re.compile(r"[^\W\d_]+").finditer

# Words that name a thing only beside another cue: «código postal», «card number».
_WEAK = words("code código codigo id chave número numero conta cuenta account case caso valor total")


class Cue(NamedTuple):
    """What the nearest word says, and how many characters lie between."""

    kind: str
    distance: int


NO_CUE = Cue("", REACH)


def nearest(text: str, position: int) -> Cue:
    """The cue nearest to the left of `position`; a weak word gives way to a strong one close before it."""
    start = max(0, position - REACH)
    if start and text[start - 1].isalpha():
        while start < position and text[start].isalpha():
            start += 1
    found = weak = NO_CUE
    for word in _letters(text[start:position].lower()):
        kind = _KIND.get(word[0])
        if kind is None:
            continue
        cue = Cue(kind, position - start - word.end())
        if word[0] in _WEAK:
            weak = cue
        else:
            found = cue
    if weak.distance < found.distance - 24 or found is NO_CUE:
        return weak
    return found
