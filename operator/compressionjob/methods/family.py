"""A family of methods: a stage whose field ``method`` selects one of them.

Manifests have one flat form for the family. It is built from the parameter classes of its methods: the fields, the
values that each method accepts, and the rules that check them in the API server (CEL) and in Python.
"""

from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Self, Union, get_args, get_origin

from pydantic import Field, PrivateAttr, create_model, model_validator
from pydantic.fields import FieldInfo

from compressionjob.data import DataRole
from compressionjob.field_types import cel, with_rules
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.predicate import AllOf, AnyOf, IsSet, Not, OneOf, Predicate, Rule, implies
from compressionjob.methods.promise import Promise

SELECTORS: Final = ("method", "backend")
"""Fields that select the method. Methods of the same name differ in their backends."""

Variant = type[Parameters]


class Family(Parameters):
    """The flat parameters of a stage. ``chosen()`` returns those of the method that they select."""

    variants: ClassVar[tuple[Variant, ...]] = ()
    _chosen: Parameters = PrivateAttr()

    @model_validator(mode="after")
    def _choose(self) -> Self:
        values = self.to_json()
        for rule in type(self).rules:
            if not rule.condition.holds(values):
                raise ValueError(rule.text)
        variant = next(one for one in self.variants if _selects(one, self.variants).holds(values))
        # Fields of other methods have their defaults here, as the API server writes them.
        given = {name: getattr(self, name) for name in type(self).model_fields if name in variant.model_fields}
        self._chosen = variant(**{name: value for name, value in given.items() if value is not None})
        return self

    def chosen(self) -> Parameters:
        """Return the parameters of the selected method."""
        return self._chosen

    def promise(self) -> Promise:
        """Return the promise of the selected method."""
        return self._chosen.promise()

    def excludes_program(self) -> bool:
        """Return whether the result of the selected method cannot be exported as a program."""
        return self._chosen.excludes_program()

    def needs(self) -> frozenset[DataRole]:
        """Return the data that the selected method needs."""
        return self._chosen.needs()

    def models(self) -> dict[str, str]:
        """Return the models that the selected method reads."""
        return self._chosen.models()


def family(name: str, summary: str, variants: Sequence[Variant]) -> type[Family]:
    """Return the flat form of the methods ``variants``. The first is the default."""
    rules = tuple(_rules(variants))
    base: type[Family] = type(
        f"{name}Family",
        (Family,),
        {
            "__module__": __name__,
            "__doc__": summary,
            "__annotations__": {"variants": ClassVar[Any], "rules": ClassVar[Any]},
            "variants": tuple(variants),
            "rules": rules,
            "observes": _trait_condition(variants, "observes"),
            "trains": _trait_condition(variants, "trains"),
            "model_config": with_rules(*(cel(rule.condition.cel(), rule.text) for rule in rules)),
        },
    )
    fields: dict[str, Any] = {field: _flat(field, variants) for field in _names(variants)}
    flat: type[Family] = create_model(name, __base__=base, __doc__=summary, **fields)
    return flat


def _trait_condition(variants: Sequence[Variant], trait: str) -> Predicate:
    """Return the condition on the flat parameters under which a trait of the selected method holds."""
    return AnyOf(*(AllOf(_selects(one, variants), getattr(one, trait)) for one in variants))


def _flat(name: str, variants: Sequence[Variant]) -> tuple[Any, Any]:
    """Return type and field of the flat form: with a default if the default method has one, else optional."""
    owners = [one for one in variants if name in one.model_fields]
    kinds = list(dict.fromkeys(kind for one in owners for kind in _kinds(one.model_fields[name])))
    values = tuple(dict.fromkeys(value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)))
    others = [kind for kind in kinds if get_origin(kind) is not Literal]
    whole: Any = Union[(*((Literal[values],) if values else ()), *others)]
    description = _description(name, owners, variants)
    default = _default(name, variants)
    if default is not None:
        return whole, Field(default=default, description=description)
    return whole | None, Field(default=None, description=description)


def _description(name: str, owners: Sequence[Variant], variants: Sequence[Variant]) -> str:
    if name == "method":
        return " ".join(f"{one.variant}: {one.summary}." for one in _by_variant(variants))
    texts = [one.model_fields[name].description or "" for one in owners]
    shared = min(texts, key=len)
    more = dict.fromkeys(text.removeprefix(shared).strip() for text in texts)
    whole = " ".join([shared, *(text for text in more if text)])
    if _default(name, variants) is not None:
        return whole
    methods = dict.fromkeys(value for one in owners for value in _methods_of(one))
    return f"For {' and '.join(methods)}: {whole[0].lower()}{whole[1:]}"


def _kinds(field: FieldInfo) -> Iterator[Any]:
    """Yield the types of a field with its metadata, without None."""
    annotation = field.annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    for part in parts:
        if part is not NoneType:
            yield _with_metadata(part, field.metadata)


def _with_metadata(kind: Any, metadata: Sequence[Any]) -> Any:
    return Annotated[(kind, *metadata)] if metadata else kind


def _rules(variants: Sequence[Variant]) -> Iterator[Rule]:
    yield from _selector_rules(variants)
    for name in _names(variants):
        if name not in SELECTORS:
            yield from _value_rules(name, variants)
            yield from _ownership(name, variants)
    yield from dict.fromkeys(rule for one in variants for rule in one.rules)


def _selector_rules(variants: Sequence[Variant]) -> Iterator[Rule]:
    """Yield rules on which methods have a backend, and on the methods of each backend."""
    yield from _ownership("backend", variants)
    owners: dict[str, list[str]] = {}
    for one in variants:
        for value in _values(one, "backend"):
            owners.setdefault(value, []).append(str(_methods_of(one)[0]))
    every = {method for methods in owners.values() for method in methods}
    for value, methods in owners.items():
        chosen = tuple(dict.fromkeys(methods))
        if set(chosen) == every:
            continue
        text = f"backend {value} belongs to method {' or '.join(chosen)}"
        yield Rule(implies(OneOf("backend", (value,)), OneOf("method", chosen)), text)


def _value_rules(name: str, variants: Sequence[Variant]) -> Iterator[Rule]:
    """Yield the rule on the values of a field, where methods accept different values."""
    owners = [one for one in variants if _values(one, name)]
    every = {value for one in owners for value in _values(one, name)}
    if all(set(_values(one, name)) == every for one in owners):
        return
    alias = _alias(name, variants)
    allowed = [OneOf(alias, _values(one, name)) for one in owners]
    # Without a default in the flat form, the field may be absent, and each method has its own default.
    optional = _default(name, variants) is None
    kept: list[Predicate] = [AnyOf(Not(IsSet(alias)), one) for one in allowed] if optional else [*allowed]
    conditions = [implies(_selects(one, variants), values) for one, values in zip(owners, kept, strict=True)]
    narrow = [one for one in owners if set(_values(one, name)) != every]
    texts = [f"{_title(one)} takes {alias} {' or '.join(map(str, _values(one, name)))}" for one in narrow]
    yield Rule(AllOf(*conditions), "; ".join(texts))


def _ownership(name: str, variants: Sequence[Variant]) -> Iterator[Rule]:
    """Yield the rule that a field belongs to some methods only. Its default is always allowed."""
    owners = [one for one in variants if name in one.model_fields]
    if not owners or len(owners) == len(variants):
        return
    alias, default = _alias(name, variants), _default(name, variants)
    absent: Predicate = Not(IsSet(alias)) if default is None else OneOf(alias, (default,))
    others = [str(value) for one in owners for value in _values(one, name) if value != default]
    title = alias if default is None else f"{alias} {' or '.join(dict.fromkeys(others))}"
    condition = AnyOf(absent, *(_selects(one, variants) for one in owners))
    if name in SELECTORS:
        methods = tuple(dict.fromkeys(value for one in owners for value in _methods_of(one)))
        condition = AnyOf(absent, OneOf("method", methods))
    yield Rule(condition, f"{title} belongs to {_words(owners, variants)}; remove it")


def _selects(variant: Variant, variants: Sequence[Variant]) -> Predicate:
    """Return the condition under which the flat parameters select a method."""
    named = OneOf("method", _methods_of(variant))
    alone = sum(set(_methods_of(one)) == set(_methods_of(variant)) for one in variants) == 1
    if alone:
        return named
    backend = OneOf("backend", _values(variant, "backend"))
    required = variant.model_fields["backend"].is_required()
    return AllOf(named, backend if required else AnyOf(Not(IsSet("backend")), backend))


def _title(variant: Variant) -> str:
    """Return a method in words, with its backend if it is required."""
    title = f"method {' or '.join(_methods_of(variant))}"
    backend = variant.model_fields.get("backend")
    required = backend is not None and backend.is_required()
    return f"{title} with backend {' or '.join(_values(variant, 'backend'))}" if required else title


def _words(owners: Sequence[Variant], variants: Sequence[Variant]) -> str:
    """Return methods in words: ``method static, or weight-only with backend onnxruntime``."""
    parts = []
    for method in dict.fromkeys(value for one in owners for value in _methods_of(one)):
        all_of_it = [one for one in variants if method in _methods_of(one)]
        some = [one for one in all_of_it if one in owners]
        backends = [value for one in some for value in _values(one, "backend")]
        parts.append(method if len(some) == len(all_of_it) else f"{method} with backend {' or '.join(backends)}")
    return f"method {' or '.join(parts)}"


def _names(variants: Sequence[Variant]) -> list[str]:
    return list(dict.fromkeys(name for one in variants for name in one.model_fields))


def _by_variant(variants: Sequence[Variant]) -> list[Variant]:
    """Return one class for each value of ``method``."""
    first: dict[tuple[str, ...], Variant] = {}
    for one in variants:
        first.setdefault(_methods_of(one), one)
    return list(first.values())


def _default(name: str, variants: Sequence[Variant]) -> Any:
    """Return the default of the flat form, which is that of the default method."""
    field = variants[0].model_fields.get(name)
    return None if field is None or field.is_required() else field.default


def _alias(name: str, variants: Sequence[Variant]) -> str:
    field = next(one.model_fields[name] for one in variants if name in one.model_fields)
    return field.alias or name


def _methods_of(variant: Variant) -> tuple[str, ...]:
    """Return the values of ``method`` that select a method."""
    return _values(variant, "method")


def _values(variant: Variant, name: str) -> tuple[Any, ...]:
    """Return the literal values of a field; none for other types, or without such a field."""
    field = variant.model_fields.get(name)
    if field is None:
        return ()
    kinds = (kind for kind in _kinds(field) if get_origin(kind) is Literal)
    return tuple(value for kind in kinds for value in get_args(kind))
