"""Which channels of a file make up which AOV."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kpcn_core.aov import AOVS, RGB, XY, XYZ, Aov
from kpcn_core.errors import MissingAov, UnknownName
from kpcn_core.layer import Channel, Layer, LayerSet
from kpcn_core.source import Recipe, Source
from kpcn_core.source import recipe as parse_recipe

# Channels that may stand in for an AOV's own suffixes, in this order.
EQUIVALENTS = {RGB: (RGB,), XYZ: (XYZ, RGB), XY: (XY, ("R", "G"), ("U", "V"))}


@dataclass(frozen=True)
class Found:
    """Where an AOV is in a file.

    Attributes:
        recipe: how it is made of layers; with the layers' full names.
        terms: for each summed layer its channels, as many as the AOV has.
        factor: channels of the layer to multiply with.
        minus: where that is which is taken from it.
    """

    recipe: Recipe
    terms: tuple[tuple[Channel, ...], ...]
    factor: tuple[Channel, ...] = ()
    minus: tuple["Found", ...] = ()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels that it needs."""
        own = tuple(channel for term in self.terms for channel in term) + self.factor
        return own + tuple(channel for taken in self.minus for channel in taken.channels)


def find_aovs(
    source: Source, layers: LayerSet, overrides: Mapping[str, str] | None = None
) -> dict[str, Found]:
    """Every AOV of a source that a file has.

    Args:
        source: how the renderer writes.
        layers: what the file has.
        overrides: AOV name to the layer it is to be read from, by the source's convention; or to a
            convention of its own, see ``source.recipe``. The layer must be there. Where names are
            preceded by a view layer's, a beauty that is named says which of them is meant.

    Raises:
        MissingAov: an override names a layer that the file has not, or that does not fit the AOV.
        UnknownName: an override names an AOV that does not exist, or cannot be understood.
    """
    prefixes = _prefixes(source, layers)
    beauty = (overrides or {}).get("color", "").lower()
    named = [prefix for prefix in prefixes if prefix and beauty in _beauties(source, prefix)]
    candidates = {prefix: _find_all(source, layers, prefix) for prefix in named or prefixes}
    # Of several view layers the first with most AOVs.
    prefix = max(candidates, key=lambda prefix: len(candidates[prefix]))
    found = candidates[prefix]
    for aov, layer in (overrides or {}).items():
        found[aov] = _override(source, layers, prefix, aov, layer)
    return {aov: found[aov] for aov in AOVS if aov in found}


def _prefixes(source: Source, layers: LayerSet) -> list[str]:
    """What layer names may begin with: nothing, or whatever stands before the beauty's."""
    if not source.prefixed:
        return [""]
    names = filter(None, _beauties(source))
    return ["", *(prefix for name in names for prefix in layers.prefixes(name))]


def _beauties(source: Source, prefix: str = "") -> list[str]:
    """What the beauty of a source may be called, in lower case."""
    return [(prefix + name).lower() for recipe in source.aovs["color"] for name in recipe.layers]


def _find_all(source: Source, layers: LayerSet, prefix: str) -> dict[str, Found]:
    found = {}
    for aov, recipes in source.aovs.items():
        options = (_find(AOVS[aov], recipe, layers, prefix) for recipe in recipes)
        first = next(filter(None, options), None)
        if first:
            found[aov] = first
    return found


def _override(source: Source, layers: LayerSet, prefix: str, aov: str, layer: str) -> Found:
    """The AOV from another layer."""
    if aov not in AOVS:
        raise UnknownName(f"No AOV is called '{aov}'. There are {', '.join(AOVS)}.")
    options = _conventions(source, aov, layer)
    for option in options:
        for start in ("", prefix):
            found = _find(AOVS[aov], option, layers, start)
            if found:
                return found
    raise _unfit(layers, prefix, aov, options[0])


def _unfit(layers: LayerSet, prefix: str, aov: str, recipe: Recipe) -> MissingAov:
    """Why an AOV cannot be made as asked."""
    has = []
    for name in (*recipe.layers, *filter(None, [recipe.times])):
        there = layers.find(name) or layers.find(prefix + name)
        if there is None:
            return MissingAov(
                f"no layer '{name}' for AOV '{aov}'. The file has {layers.names()}. "
                f"Map another with --aov {aov}=LAYER."
            )
        has += [channel.name for channel in there.channels.values()]
    needs = recipe.channels or AOVS[aov].suffixes
    return MissingAov(
        f"layer '{recipe}' does not fit AOV '{aov}', which needs {', '.join(needs)}; "
        f"the layer has {', '.join(has)}."
    )


def _conventions(source: Source, aov: str, layer: str) -> tuple[Recipe, ...]:
    """How an override's layer may be read, best first."""
    if layer.startswith("{"):
        return (parse_recipe(layer),)
    convention = source.aovs.get(aov, (Recipe((layer,)),))[0]
    recipe = replace(convention, layers=(layer,), times=None, minus=())
    return recipe, replace(recipe, channels=())


def _find(aov: Aov, recipe: Recipe, layers: LayerSet, prefix: str) -> Found | None:
    terms = [_term(aov, recipe, layers, prefix + name) for name in recipe.layers]
    factor = _term(aov, recipe, layers, prefix + recipe.times) if recipe.times else None
    found = [_find(aov, taken, layers, prefix) for taken in recipe.minus]
    minus = tuple(taken for taken in found if taken)
    if None in terms or len(minus) < len(found) or (recipe.times and factor is None):
        return None
    names = tuple(prefix + name for name in recipe.layers)
    times = prefix + recipe.times if recipe.times else None
    return Found(
        replace(recipe, layers=names, times=times, minus=tuple(one.recipe for one in minus)),
        tuple(term for term in terms if term),
        factor or (),
        minus,
    )


def _term(aov: Aov, recipe: Recipe, layers: LayerSet, name: str) -> tuple[Channel, ...] | None:
    layer = layers.find(name)
    return None if layer is None else _pick(aov, recipe, layer)


def _pick(aov: Aov, recipe: Recipe, layer: Layer) -> tuple[Channel, ...] | None:
    """The channels of a layer that fit an AOV; a grey layer's one channel serves for R, G and B."""
    options = (
        (recipe.channels,) if recipe.channels else EQUIVALENTS.get(aov.suffixes, (aov.suffixes,))
    )
    for suffixes in options:
        if aov.channels == 1 and suffixes[0] in "YZ" and "X" in layer.channels:
            continue  # one coordinate of a vector is no depth
        if all(suffix in layer.channels for suffix in suffixes):
            return tuple(layer.channels[suffix] for suffix in suffixes)
    if recipe.channels:
        return None
    stand_in = None
    if aov.suffixes == RGB:
        stand_in = layer.grey
    elif aov.channels == 1 and not layer.main:
        stand_in = layer.scalar
    return (stand_in,) * aov.channels if stand_in else None
