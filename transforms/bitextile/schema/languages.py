"""Language tags as different sources write them, brought to one form.

Translation memories tag English as `en`, `EN-US`, `en_US`, `eng` or `eng-GB`; ISO 639-2 has two
codes for some languages (`fre` and `fra`), and files that name an individual language mean the one
its macrolanguage's code usually stands for (`cmn` and `zh`).
"""

import re
from functools import lru_cache

# ISO 639-1 to ISO 639-2, terminology code first, then the bibliographic one where it differs.
_TWO_LETTERS = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel
bg:bul bi:bis bm:bam bn:ben bo:bod/tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces/cze
cu:chu cv:chv cy:cym/wel da:dan de:deu/ger dv:div dz:dzo ee:ewe el:ell/gre en:eng eo:epo es:spa
et:est eu:eus/baq fa:fas/per ff:ful fi:fin fj:fij fo:fao fr:fra/fre fy:fry ga:gle gd:gla gl:glg
gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye/arm hz:her ia:ina
id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl/ice it:ita iu:iku ja:jpn jv:jav ka:kat/geo kg:kon
ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat
lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri/mao mk:mkd/mac ml:mal
mn:mon mr:mar ms:msa/may mt:mlt my:mya/bur na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld/dut nn:nno
no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por
qu:que rm:roh rn:run ro:ron/rum ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk/slo
sl:slv sm:smo sn:sna so:som sq:sqi/alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel
tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr
ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho/chi zu:zul
"""
# CLDR's supplemental data: codes that were replaced, and the individual language that the code of
# a macrolanguage usually stands for.
_REPLACED = """
he:iw id:in yi:ji ro:mo zh:cmn ar:arb fa:pes sw:swh ms:zsm lv:lvs et:ekk yi:ydd uz:uzn mn:khk az:azj
ne:npi or:ory sq:als mg:plt
"""
_SHORTEST = {
    code: short
    for entry in (_TWO_LETTERS + _REPLACED).split()
    for short, _, codes in [entry.partition(":")]
    for code in codes.split("/")
}
_LOCALE_SUFFIX = re.compile(r"[.@].*")


@lru_cache(maxsize=4096)
def canonical_tag(tag: str) -> str:
    """Returns a tag with the shortest code of its language, hyphens, and the usual case.

    Args:
        tag: as a file has it; what is no tag comes back in lower case.

    >>> canonical_tag("EN_us"), canonical_tag("fre-FR"), canonical_tag("zho_hant_TW.UTF-8")
    ('en-US', 'fr-FR', 'zh-Hant-TW')
    """
    first, *rest = _LOCALE_SUFFIX.sub("", tag.strip()).replace("_", "-").lower().split("-")
    cased = [part.title() if len(part) == 4 else part for part in rest]
    cased = [part.upper() if len(part) in (2, 3) else part for part in cased]
    return "-".join([_SHORTEST.get(first, first), *cased])


def is_variety_of(tag: str, language: str) -> bool:
    """Returns whether a tag is of a language or of a variety of it, however both are written.

    >>> is_variety_of("eng-GB", "en"), is_variety_of("pt", "pt-BR"), is_variety_of("cmn_TW", "zh")
    (True, False, True)
    """
    found, wanted = canonical_tag(tag), canonical_tag(language)
    return found == wanted or found.startswith(wanted + "-")
