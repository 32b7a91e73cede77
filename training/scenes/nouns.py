# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scene world is peopled with: nouns, their pictures and what is natural for them.

Pictures are named by their code point in @lobehub/fluent-emoji-3d. Those that show a side look left (``faces``
"left"); the others look straight ahead and are never mirrored, since writing and tools would be.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("animals", "vehicles", "food", "things", "people at work")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")

PAINTED = ("red", "yellow", "green", "blue", "purple", "pink", "black", "white")  # what can be lacquered or dyed
COATS = ("brown", "black", "white", "grey", "orange")  # natural coats of animals
BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink")


@dataclass(frozen=True)
class Noun:
    """A noun of the world.

    ``gait`` is how it gets about: it sets its words (walks, flies, swims, drives, rolls, moves) and its bobbing.
    ``turn`` is how far the picture is turned clockwise, in degrees, until it lies level.
    ``size`` is its usual height against that of others.
    """

    name: str
    group: str
    code: str
    gait: str = "none"
    faces: str = "left"
    colours: tuple[str, ...] = ()
    size: float = 1.0
    turn: float = 0.0


_ALL = (
    # Animals
    Noun("dog", "animals", "1f415", "walk", colours=COATS),
    Noun("cat", "animals", "1f408", "walk", colours=COATS),
    Noun("horse", "animals", "1f40e", "walk", colours=COATS, size=1.1),
    Noun("cow", "animals", "1f404", "walk"),
    Noun("pig", "animals", "1f416", "walk"),
    Noun("sheep", "animals", "1f411", "walk"),
    Noun("goat", "animals", "1f410", "walk", colours=COATS),
    Noun("camel", "animals", "1f42a", "walk"),
    Noun("elephant", "animals", "1f418", "walk", size=1.1),
    Noun("giraffe", "animals", "1f992", "walk", size=1.2),
    Noun("rhino", "animals", "1f98f", "walk"),
    Noun("kangaroo", "animals", "1f998", "walk"),
    Noun("rabbit", "animals", "1f407", "walk", size=0.9),
    Noun("hedgehog", "animals", "1f994", "walk", size=0.9),
    Noun("tiger", "animals", "1f405", "walk", size=1.1),
    Noun("leopard", "animals", "1f406", "walk", size=1.1),
    Noun("zebra", "animals", "1f993", "walk"),
    Noun("deer", "animals", "1f98c", "walk", size=1.1),
    Noun("llama", "animals", "1f999", "walk", size=1.1),
    Noun("mouse", "animals", "1f401", "walk", size=0.9),
    Noun("poodle", "animals", "1f429", "walk"),
    Noun("red panda", "animals", "1f9a8", "walk"),
    Noun("turtle", "animals", "1f422", "walk"),
    Noun("dinosaur", "animals", "1f996", "walk", colours=BRIGHT, size=1.1),
    Noun("whale", "animals", "1f433", "swim"),
    Noun("dolphin", "animals", "1f42c", "swim"),
    Noun("shark", "animals", "1f988", "swim"),
    Noun("fish", "animals", "1f41f", "swim", colours=BRIGHT, size=0.9),
    Noun("octopus", "animals", "1f419", "swim", "front", colours=BRIGHT),
    Noun("crab", "animals", "1f980", "walk", "front"),
    Noun("penguin", "animals", "1f427", "walk", "front"),
    Noun("duck", "animals", "1f986", "walk"),
    Noun("swan", "animals", "1f9a2", "swim"),
    Noun("flamingo", "animals", "1f9a9", "walk", size=1.1),
    Noun("peacock", "animals", "1f99a", "walk", "front"),
    Noun("rooster", "animals", "1f413", "walk"),
    Noun("chick", "animals", "1f425", "walk", "front", size=0.9),
    Noun("owl", "animals", "1f989", "fly", "front"),
    Noun("parrot", "animals", "1f99c", "fly", colours=BRIGHT),
    Noun("eagle", "animals", "1f985", "fly"),
    Noun("butterfly", "animals", "1f98b", "fly", "front", colours=BRIGHT, size=0.9),
    Noun("bee", "animals", "1f41d", "fly", size=0.9),
    Noun("ladybird", "animals", "1f41e", "walk", "front", size=0.9),
    Noun("snail", "animals", "1f40c", "walk", size=0.9),
    # Vehicles
    Noun("car", "vehicles", "1f697", "ride", colours=PAINTED),
    Noun("taxi", "vehicles", "1f695", "ride"),
    Noun("jeep", "vehicles", "1f699", "ride", colours=PAINTED),
    Noun("bus", "vehicles", "1f68c", "ride", size=1.1),
    Noun("police car", "vehicles", "1f693", "ride"),
    Noun("ambulance", "vehicles", "1f691", "ride", size=1.1),
    Noun("fire engine", "vehicles", "1f692", "ride", size=1.1),
    Noun("truck", "vehicles", "1f69a", "ride", size=1.1),
    Noun("tractor", "vehicles", "1f69c", "ride", colours=PAINTED),
    Noun("racing car", "vehicles", "1f3ce-fe0f", "ride", colours=PAINTED, size=1.2),
    Noun("motorcycle", "vehicles", "1f3cd-fe0f", "ride", colours=PAINTED),
    Noun("scooter", "vehicles", "1f6f5", "ride", colours=PAINTED),
    Noun("bicycle", "vehicles", "1f6b2", "ride", colours=PAINTED),
    Noun("locomotive", "vehicles", "1f682", "ride", size=1.1),
    Noun("helicopter", "vehicles", "1f681", "fly", colours=PAINTED),
    Noun("airplane", "vehicles", "1f6e9-fe0f", "fly", colours=PAINTED, turn=-135),
    Noun("rocket", "vehicles", "1f680", "fly", "front", turn=-45),
    # Food
    Noun("apple", "food", "1f34e", "roll", "front", colours=("red", "green", "yellow")),
    Noun("pear", "food", "1f350", "roll", "front"),
    Noun("banana", "food", "1f34c", "none", "front"),
    Noun("watermelon", "food", "1f349", "roll", "front"),
    Noun("strawberry", "food", "1f353", "roll", "front"),
    Noun("pineapple", "food", "1f34d", "roll", "front"),
    Noun("orange", "food", "1f34a", "roll", "front"),
    Noun("hamburger", "food", "1f354", "none", "front"),
    Noun("pizza", "food", "1f355", "none", "front"),
    Noun("doughnut", "food", "1f369", "roll", "front"),
    Noun("cookie", "food", "1f36a", "roll", "front"),
    Noun("cupcake", "food", "1f9c1", "none", "front"),
    Noun("ice cream", "food", "1f366", "none", "front"),
    Noun("carrot", "food", "1f955", "roll", "front"),
    Noun("mushroom", "food", "1f344", "none", "front"),
    Noun("pumpkin", "food", "1f383", "roll", "front"),
    # Things
    Noun("balloon", "things", "1f388", "fly", "front", colours=BRIGHT),
    Noun("umbrella", "things", "2602-fe0f", "none", "front", colours=BRIGHT),
    Noun("football", "things", "26bd", "roll", "front", size=0.9),
    Noun("basketball", "things", "1f3c0", "roll", "front", size=0.9),
    Noun("teddy bear", "things", "1f9f8", "walk", "front"),
    Noun("gift", "things", "1f381", "none", "front"),
    Noun("guitar", "things", "1f3b8", "none", "front", colours=PAINTED),
    Noun("drum", "things", "1f941", "none", "front"),
    Noun("chair", "things", "1fa91", "none", "front"),
    Noun("lantern", "things", "1f3ee", "fly", "front"),
    Noun("kite", "things", "1fa81", "fly", "front"),
    Noun("alarm clock", "things", "23f0", "none", "front", colours=BRIGHT),
    Noun("telephone", "things", "260e-fe0f", "none", "front", colours=PAINTED),
    Noun("backpack", "things", "1f392", "none", "front", colours=PAINTED),
    Noun("top hat", "things", "1f3a9", "none", "front"),
    Noun("trophy", "things", "1f3c6", "none", "front"),
    Noun("bell", "things", "1f514", "none", "front"),
    Noun("snowman", "things", "26c4", "walk", "front"),
    Noun("robot", "things", "1f916", "walk", "front"),
    Noun("potted plant", "things", "1fab4", "none", "front"),
    Noun("sunflower", "things", "1f33b", "none", "front", size=1.1),
    Noun("key", "things", "1f511", "none", "front"),
    Noun("camera", "things", "1f4f7", "none", "front"),
    Noun("candle", "things", "1f56f-fe0f", "none", "front", size=1.1),
    Noun("glass", "things", "1f95b", "none", "front", size=0.9),
    Noun("vase", "things", "1f3fa", "none", "front", colours=("orange", "blue", "green", "red"), size=1.1),
    Noun("paintbrush", "things", "1f58c-fe0f", "none", "front"),
    # People at work
    Noun("cook", "people at work", "1f9d1-200d-1f373", "walk", "front"),
    Noun("farmer", "people at work", "1f9d1-200d-1f33e", "walk", "front"),
    Noun("firefighter", "people at work", "1f9d1-200d-1f692", "walk", "front"),
    Noun("astronaut", "people at work", "1f9d1-200d-1f680", "walk", "front"),
    Noun("painter", "people at work", "1f9d1-200d-1f3a8", "walk", "front"),
    Noun("mechanic", "people at work", "1f9d1-200d-1f527", "walk", "front"),
    Noun("doctor", "people at work", "1f9d1-200d-2695-fe0f", "walk", "front"),
    Noun("police officer", "people at work", "1f46e", "walk", "front"),
    Noun("builder", "people at work", "1f477", "walk", "front"),
    Noun("pilot", "people at work", "1f9d1-200d-2708-fe0f", "walk", "front"),
    Noun("guard", "people at work", "1f482", "walk", "front"),
    Noun("jockey", "people at work", "1f3c7", "walk", size=1.1),
    Noun("cyclist", "people at work", "1f6b4", "ride", size=1.1),
    Noun("runner", "people at work", "1f3c3", "walk", size=1.1),
)
NOUNS: dict[str, Noun] = {noun.name: noun for noun in _ALL}

EDIBLE = ("apple", "pear", "watermelon", "hamburger", "pizza", "doughnut", "cookie", "orange", "pumpkin", "mushroom")
FRAGILE = ("glass", "vase", "pumpkin", "alarm clock", "potted plant")
RUNNERS = tuple(n.name for n in _ALL if n.gait == "walk" and n.faces == "left" and n.name != "snail")
