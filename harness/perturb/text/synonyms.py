"""Other words of the same meaning: a short list by hand for what captions talk about, then a thesaurus.

The list goes first, since the thesaurus was made from debates and news, where a chair is a president. A word of the
list has no other synonyms than those there. Each row is a set of words that can stand for each other, in one form; a
word alone has no synonym that is safe.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from harness.perturb.text.thesaurus import load_thesaurus

_ROWS: Final = """
red crimson scarlet / orange tangerine / yellow golden / green emerald / blue azure / purple violet / pink rosy /
brown tan / black ebony / white ivory / grey gray / striped banded / dotted spotted /
checkered chequered checked / solid plain / ringed banded / holed pierced perforated / horned antlered /
haloed aureoled / tilted slanted leaning inclined / circle disc / square quadrangle / triangle trigon /
diamond rhombus lozenge / drop droplet / crescent sickle / shape form / object thing item / objects things items /
large big / small little / huge enormous giant gigantic / larger bigger / largest biggest / tiny minuscule /
medium middling mid-sized / old aged / young youthful / beautiful lovely pretty / colorful colourful /
different differing / several various / many numerous / multiple numerous / nearby neighbouring / wooden timber /
grassy verdant / snowy snow-covered / sandy beachlike / empty vacant / crowded packed / busy bustling / dark dim /
bright brilliant / wet soaked / ready prepared / leftmost left-hand / rightmost right-hand /
highest topmost uppermost / lowest bottommost lowermost / photo photograph picture / photos photographs pictures /
image picture / images pictures / drawing sketch / painting canvas / man gentleman guy / men gentlemen guys /
woman lady / women ladies / boy lad / boys lads / girl lass / girls lasses / child kid /
children kids youngsters / baby infant / babies infants / people persons folks / person individual /
someone somebody / crowd throng / group bunch / couple pair / keeper guardian / dog hound / dogs hounds /
puppy pup / cat feline / cats felines / kitten kitty / horse steed / horses steeds / cows cattle /
car automobile / cars automobiles / bike bicycle / bikes bicycles / motorcycle motorbike /
motorcycles motorbikes / bus coach / buses coaches / truck lorry / trucks lorries / plane airplane aeroplane /
planes airplanes aeroplanes / boat vessel / boats vessels / street road / streets roads / sidewalk pavement /
station depot / shop store / house home / harbour port / market bazaar / village hamlet / bakery bakehouse /
chapel church / museum gallery / stable barn / orchard grove / factory mill / area region / areas regions /
theatre playhouse / bridge overpass / river stream / school academy / airport airfield / tv /
phone telephone / laptop notebook / refrigerator fridge / couch sofa / couches sofas / chair seat / chairs seats /
plate dish / plates dishes / cup mug / bowl basin / sandwich sub / food fare / meal repast / luggage baggage /
suitcase valise / bag sack / bags sacks / umbrella parasol / hat cap / jacket coat / tie necktie /
racket racquet / grass lawn / sand dunes / ocean sea / beach shore / stone rock / stones rocks / soil earth /
hill mound / forest woods / sky heavens / wave breaker / waves breakers / background backdrop /
bathroom washroom restroom / toilet lavatory / sign signpost / game match / view vista / sitting seated /
holding grasping gripping / carrying bearing / riding mounting / looking gazing / watching observing /
walking strolling / running sprinting / jumping leaping / talking speaking / eating consuming / smiling grinning /
flying soaring / posing modelling / wearing sporting / cutting slicing / using employing / throwing tossing /
catching grabbing / show depict / shows depicts / showing depicting / sits rests / holds grips / looks gazes /
walks strolls / runs sprints / appears seems / hangs dangles / says states / sent dispatched / made crafted /
belongs pertains / closed shut / singing chanting / quiet silent / covered coated / filled packed /
surrounded encircled / parked stationed / beside alongside / above over / below beneath under /
underneath beneath / inside within / next adjacent / find locate / altogether overall / near / left / right /
open / close / head / air / set / lot / part / view / court / living / cross / train / light / player / players /
passes / arms / field / fields / ground / heart / star
"""


def synonyms_of(word: str) -> tuple[str, ...]:
    """Return other words for one, lower case, the best first; empty where none is known."""
    lower = word.lower()
    listed = _listed().get(lower)
    return listed if listed is not None else load_thesaurus().get(lower, ())


@lru_cache(maxsize=1)
def _listed() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in _ROWS.split("/"):
        words = row.split()
        for word in words:
            known = found.setdefault(word, [])
            known += [other for other in words if other != word and other not in known]
    return {word: tuple(others) for word, others in found.items()}
