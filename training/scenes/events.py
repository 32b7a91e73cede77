# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages the events: what happens, which pieces show it, and when; see scene.EVENTS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import props
from .breakage import shatters
from .motion import Ground, Moves, gait
from .pieces import Matrices, Piece, Pyramid
from .scene import Event
from .sprites import SIDE
from .take import Placement, Take
from .truth import EventTruth

Floats = NDArray[np.float64]
Staged = tuple[list[Piece], Floats]  # pieces from back to front, progress per frame


def stage_event(take: Take) -> tuple[list[Piece], EventTruth]:
    """The pieces of a shot with an event, from back to front, and the event's truth."""
    event = take.shot.event
    if event is None:
        raise ValueError("the shot has no event to stage")
    pieces, progress = HANDLERS[event.kind](take, event)
    begun, done = np.nonzero(progress > 0)[0], np.nonzero(progress >= 1 - 1e-9)[0]
    last = take.frames
    start = int(begun[0]) if len(begun) else last
    return pieces, EventTruth(event, start, int(done[0]) if len(done) else last, progress)


def _progress(take: Take, event: Event) -> Floats:
    """0 before the event, 1 after it, rising between."""
    length = max(event.end - event.start, 1e-6)
    return np.asarray(np.clip((take.phase - event.start) / length, 0, 1))


def _stepping(take: Take, placed: Placement) -> None:
    """Give an instance that travels the bobbing of its gait."""
    actor = take.shot.actors[placed.actor]
    steps = Moves.none(take.frames)
    steps.going = np.ones(take.frames)
    size = float(placed.size[0])
    gait(
        steps,
        actor.kind.gait,
        actor.noun,
        take.seconds,
        Ground(take.width, take.height, size, size, size),
        0.13 * placed.number,
    )
    placed.lift, placed.tilt, placed.flap = placed.lift + steps.lift, placed.tilt + steps.tilt, steps.flap
    placed.foot = placed.foot + steps.y


def _size(take: Take, limit: float = 9.0) -> float:
    actor = take.shot.actors[0]
    return min(actor.size, limit) * take.unit * actor.kind.size


def passes_behind(take: Take, event: Event) -> Staged:
    """It goes behind something that is wider than it, and comes out on the other side."""
    actor = take.shot.actors[0]
    size = min(_size(take), 0.29 * take.unit)
    kind = event.prop or "tree"
    tall, sunk = {"tree": (0.70, 0.165), "rock": (0.56, 0.03), "column": (0.96, 0.04)}[kind]
    picture = props.screen(kind)
    middle = 0.5 * take.width + 0.05 * actor.start[0] * take.width
    wide = {"tree": 0.70, "rock": 0.86, "column": 0.36}[kind] * tall * take.unit
    reach = min((wide + 2.1 * size) / 2, 0.5 * take.width - 0.5 * size)
    way = 1.0 if "right" in actor.motions else -1.0
    x = middle + way * reach * (2 * take.phase - 1)
    foot = take.floor - 0.01 * take.height
    placed = Placement.standing(take.frames, middle, foot, size)
    placed.x, placed.facing = x, np.full(take.frames, way)
    _stepping(take, placed)
    screen = take.lit(picture)
    matrices = take.placed(picture, middle, take.floor + sunk * take.unit, tall * take.unit)
    hidden = np.clip((wide / 2 + size / 2 - np.abs(x - middle)) / size, 0, 1)
    return [*take.actor_pieces(placed), take.piece(kind, "prop", (screen,), matrices)], hidden


def leaves_and_returns(take: Take, event: Event) -> Staged:
    """It goes out of the frame, stays away and comes back the same."""
    actor = take.shot.actors[0]
    size = _size(take, 0.45)
    way = 1.0 if actor.motions[:1] == ("right",) else -1.0
    home = 0.5 * take.width - way * 0.12 * take.width + 0.08 * actor.start[0] * take.width
    out = take.width / 2 + way * (take.width / 2 + 0.75 * size)
    at = np.interp(take.phase, [0, event.start, event.end, 1], [0, 1, 1, 0])
    placed = Placement.standing(take.frames, home, take.floor, size)
    placed.x = home + (out - home) * at
    placed.facing = np.where(take.phase <= (event.start + event.end) / 2, way, -way)
    _stepping(take, placed)
    edge = take.width if way > 0 else 0
    away = np.clip((way * (placed.x - edge) + size / 2) / size, 0, 1)
    return take.actor_pieces(placed), away


def strokes(take: Take, event: Event) -> Staged:
    """A brush paints strokes on a canvas; they stay."""
    tall = 0.84 * take.unit
    states = props.easel(event.colour or "red", event.count)
    middle = 0.5 * take.width + 0.10 * take.shot.actors[0].start[0] * (take.width - 0.7 * take.unit)
    stands = take.placed(states[0], middle, take.floor + 0.03 * take.height, tall)
    progress = _progress(take, event)
    done = progress * event.count
    state = np.floor(done * props.STEPS + 1e-6).astype(np.int64)
    board = take.piece(
        "canvas", "prop", tuple(Pyramid.of(take.mood.tint(s, 1.0, actor=True)) for s in states), stands, state
    )
    tip = np.array([_tip(float(d), event.count, float(p)) for d, p in zip(done, progress, strict=True)])
    plane = np.einsum("fij,fj->fi", stands[:, :, :2], tip) + stands[:, :, 2]
    size = 0.40 * take.unit
    brush = np.zeros((take.frames, 2, 3))
    brush[:, 0, 0] = brush[:, 1, 1] = size / SIDE
    brush[:, :, 2] = plane - size / SIDE * np.array([44.0, 238.0])
    actor = take.shot.actors[0]
    full = props.dipped(take.pyramid(actor.noun, None).levels[0], event.colour or "red")
    figure = take.piece(actor.noun, "actor", (Pyramid.of(full),), brush)
    figure.instance = take.instance(0, 0)
    return [board, figure], progress


def _tip(done: float, count: int, progress: float) -> tuple[float, float]:
    """Where the brush's tip is, in pixels of the easel's picture: it rests beside the canvas before and after."""
    if progress <= 0 or progress >= 1:
        return 216.0, 216.0
    number = min(int(done), count - 1)
    return props.stroke_path(number, done - number)


def bites(take: Take, event: Event) -> Staged:
    """Bites are taken of a food, one after the other, and stay."""
    actor = take.shot.actors[0]
    whole = take.pyramid(actor.noun, actor.colour).levels[0]
    states = tuple(Pyramid.of(s) for s in props.bitten(whole, event.count, take.seed))
    times = np.linspace(event.start, event.end, event.count)
    eaten = (take.phase[:, None] >= times[None] - 1e-9).sum(1)
    size = _size(take, 0.55)
    x = take.width / 2 + actor.start[0] * max(0.0, take.width / 2 - 0.55 * size)
    placed = Placement.standing(take.frames, x, take.floor, size)
    since = np.min(np.abs(take.phase[:, None] - times[None]), 1)
    placed.tilt = 6 * np.clip(1 - since / 0.08, 0, 1)  # it shakes when it is bitten
    return take.actor_pieces(placed, states, eaten.astype(np.int64)), eaten / event.count


def goes_out(take: Take, event: Event) -> Staged:
    """A burning candle is blown out; smoke rises."""
    return _candle(take, event, lit_first=True)


def is_lit(take: Take, event: Event) -> Staged:
    """A candle without flame is lit."""
    return _candle(take, event, lit_first=False)


def _candle(take: Take, event: Event, lit_first: bool) -> Staged:
    actor = take.shot.actors[0]
    size = _size(take, 0.62)
    x = take.width / 2 + actor.start[0] * max(0.0, take.width / 2 - 0.35 * size)
    placed = Placement.standing(take.frames, x, take.floor, size)
    happened = take.phase >= event.start
    burns = ~happened if lit_first else happened
    flicker = 1 + (np.arange(take.frames) * 7 + take.seed) % 3
    pictures = _flames(take, actor.noun)
    top = placed.foot - 0.84 * placed.size
    strength = {"day": 0.30, "sunset": 0.42, "night": 0.62}[take.shot.light]
    light = Pyramid((props.soft((1.0, 0.80, 0.36), strength),))
    glow = take.piece("light", "effect", (light,), _spots(placed.x, top, 0.85 * size * (1 + 0.04 * flicker)))
    glow.state = np.where(burns, 0, -1)
    pieces = [glow, *take.actor_pieces(placed, pictures, np.where(burns, flicker, 0).astype(np.int64))]
    if lit_first:
        pieces += _smoke(take, placed, event.start, size)
    return pieces, happened.astype(np.float64)


def _flames(take: Take, noun: str) -> tuple[Pyramid, ...]:
    """The candle's states: what burns keeps its colours in the dark."""
    lit = props.candle(take.pyramid(noun, None).levels[0])
    bright = props.candle(props.premultiplied(take.make(noun, None)))
    rows = np.arange(SIDE)[:, None, None] < props.FLAME
    return tuple(Pyramid.of(np.where(rows & (k > 0), b, a)) for k, (a, b) in enumerate(zip(lit, bright, strict=True)))


def _spots(x: Floats, y: Floats, size: NDArray[np.floating]) -> Matrices:
    scale = size / 64
    out = np.zeros((len(x), 2, 3))
    out[:, 0, 0] = out[:, 1, 1] = scale
    out[:, 0, 2], out[:, 1, 2] = x - 31.5 * scale, y - 31.5 * scale
    return out


def _smoke(take: Take, placed: Placement, start: float, size: float) -> list[Piece]:
    """Puffs that rise and thin out after the flame is gone."""
    begin = float(np.interp(start, take.phase, take.seconds)) if take.frames > 1 else 0.0
    out = []
    for k in range(3):
        age = take.seconds - begin - 0.12 * k
        rise = np.clip(age, 0, None)
        x = placed.x + 0.04 * size * np.sin(6 * rise + k)
        y = placed.foot - (0.72 + 0.34 * rise) * size
        puff = tuple(Pyramid((props.soft((0.86, 0.86, 0.88), o),)) for o in (0.75, 0.5, 0.25))
        fade = np.where((age >= 0) & (age < 1.05), np.clip(age / 0.35, 0, 2).astype(int), -1)
        out.append(take.piece("smoke", "effect", puff, _spots(x, y, size * (0.14 + 0.16 * rise)), fade))
    return out


def treadmill(take: Take, event: Event) -> Staged:
    """It runs in place on a treadmill and faces the way it runs; the belt runs the other way."""
    actor = take.shot.actors[0]
    way = 1.0 if "right" in actor.motions else -1.0
    size = _size(take, 0.46)
    wide = 1.28 * size
    free = 0.8 if take.shot.camera == ("still",) else 0.25  # of the way to the frame's sides
    x = take.width / 2 + free * actor.start[0] * max(0.0, take.width / 2 - 0.55 * wide)
    belt = take.floor - 0.13 * wide
    placed = Placement.standing(take.frames, x - way * 0.04 * wide, belt, size)
    placed.facing, placed.shadow = np.full(take.frames, way), False
    _stepping(take, placed)
    placed.lift = 1.5 * placed.lift
    scale = wide / SIDE
    matrices = np.zeros((take.frames, 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = -way * scale, scale
    matrices[:, 0, 2], matrices[:, 1, 2] = x + way * scale * 127.5, take.floor + 0.02 * wide - scale * 255
    state = np.floor(take.seconds * 14 + 1e-6).astype(np.int64) % props.BELT
    machine = take.piece("treadmill", "prop", tuple(take.lit(s) for s in props.treadmill()), matrices, state)
    return [machine, *take.actor_pieces(placed)], take.phase.copy()


def mingles(take: Take, event: Event) -> Staged:
    """Several of a noun wander past each other; none is lost and none is added."""
    actor = take.shot.actors[0]
    count = actor.count
    size = _size(take, 0.42) * (0.74, 0.74, 0.70, 0.64, 0.58)[count - 1]
    reach = 0.5 * take.width - 0.56 * size
    way = 1.0 if actor.facing == "right" else -1.0
    placements = []
    for i in range(count):
        angle = 2 * np.pi * (take.phase * 0.55 + i / count) + 0.8 * actor.start[0]
        row = (i * 2) % count / max(count - 1, 1)
        foot = take.floor + (0.02 - 0.62 * size / take.height * row) * take.height
        placed = Placement.standing(take.frames, take.width / 2, foot, size * (1 - 0.10 * row), 0, i)
        placed.x = take.width / 2 + way * reach * np.sin(angle)
        placed.facing = way * np.where(np.cos(angle) >= 0, 1.0, -1.0)
        placed.depth = -row
        _stepping(take, placed)
        placements.append(placed)
    ordered = sorted(placements, key=lambda p: p.depth)
    return [piece for p in ordered for piece in take.actor_pieces(p)], take.phase.copy()


def _shatters(take: Take, event: Event) -> Staged:
    return shatters(take, event, _size(take, 0.40))


HANDLERS: dict[str, Callable[[Take, Event], Staged]] = {
    "passes behind": passes_behind,
    "leaves and returns": leaves_and_returns,
    "strokes": strokes,
    "bites": bites,
    "goes out": goes_out,
    "is lit": is_lit,
    "shatters": _shatters,
    "treadmill": treadmill,
    "mingles": mingles,
}
