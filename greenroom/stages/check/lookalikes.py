"""Letters of other scripts that look like Latin ones.

Own list of what common fonts draw alike. Source of the idea: Unicode Technical Standard 39, "Unicode
Security Mechanisms", section 4.
"""

_PAIRS = (
    # Cyrillic
    "аa еe оo рp сc уy хx іi јj ѕs ԁd ԛq ԝw һh ӏl гr пn тt кk мm нh вb ьb зe иu лn ёe ѵv ҽe ӓa ӧo ԍg ӕa ыb "
    "АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ІI ЈJ ЅS ԀD ԚQ ԜW ҺH ӀI ЗE ПN ГR ЁE "
    # Greek
    "αa βb γy δd εe ηn ιi κk λl μu νv οo πn ρp σo τt υu φo χx ωw ςc ϲc ϳj όo άa έe ίi ύu ώw ήn "
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ϹC ΣE "
    # Armenian and Cherokee
    "աw ցg հh նn յj օo սu ոn զq եt ոո ՕO ՍU ԼL ᎪA ᏴB ᏟC ᎠD ᎬE ᏀG ᎻH ᎥI ᎫJ ᏦK ᏞL ᎷM ᏢP ᏒR ᏚS ᎢT ᏙV ᎳW ᏃZ"
)
ALIKE = {pair[0]: pair[1] for pair in _PAIRS.split() if pair[1].isascii()}
"""Letter → Latin letter."""
