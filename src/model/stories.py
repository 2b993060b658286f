"""Small stories about a marlin and its friends, from a grammar: any number of them, the same for a seed.

A story has a hero, a trouble, and a friend whose nature fits the trouble (a crab cuts nets, a turtle knows the way), so that
whoever models the text has something to remember from one sentence to the next. Plain ASCII, a story is one line.
"""

import random
from dataclasses import dataclass

NAMES = {"she": ["Mara", "Luna", "Nell", "Coral", "Ada", "Pia", "Rosa", "Wanda", "Tilly", "Ines", "June", "Bella"],
         "he": ["Finn", "Otto", "Milo", "Theo", "Sam", "Hugo", "Ben", "Rudi", "Noah", "Kip", "Gus", "Leo"]}

# What each animal is known for; "helps" names the troubles that it can end.
KINDS = {
    "marlin": {"like": ["quick", "bold", "silver", "long-nosed", "strong"], "helps": ["race", "news"]},
    "crab": {"like": ["red", "busy", "careful", "old"], "helps": ["net", "crack"]},
    "turtle": {"like": ["wise", "old", "slow", "patient"], "helps": ["lost", "question"]},
    "octopus": {"like": ["clever", "shy", "curious", "kind"], "helps": ["crack", "chest"]},
    "whale": {"like": ["great", "gentle", "blue", "friendly"], "helps": ["rock", "storm"]},
    "seahorse": {"like": ["tiny", "proud", "yellow", "neat"], "helps": ["crack", "sad"]},
    "dolphin": {"like": ["merry", "playful", "grey", "bright"], "helps": ["sad", "lost"]},
    "pufferfish": {"like": ["round", "grumpy", "funny", "brave"], "helps": ["shark"]},
    "lanternfish": {"like": ["small", "glowing", "quiet", "kind"], "helps": ["dark", "lost"]},
    "swordfish": {"like": ["proud", "sharp", "fast", "brave"], "helps": ["net", "shark"]},
    "lobster": {"like": ["strong", "blue", "stubborn", "old"], "helps": ["rock", "chest"]},
    "eel": {"like": ["thin", "sleepy", "green", "shy"], "helps": ["crack", "dark"]},
}

PLACES = ["a warm blue bay", "the coral reef", "a forest of kelp", "the wide open sea", "a quiet lagoon", "an old sunken ship",
          "the deep green water", "a cave under the cliffs", "the shallows near the beach", "a garden of sea grass"]
HOBBIES = ["sing to the moon", "jump over the waves", "collect round shells", "count the stars", "chase the bubbles", "listen to old tales",
           "swim against the current", "sleep in the soft sand", "follow the ships", "dance in the waves"]
BY_DAY = ["the sun was warm", "the wind was strong", "the sea was calm", "the waves were high", "the fog was thick", "the sky was grey"]
BY_NIGHT = ["the moon was full", "the sea was calm", "the wind was strong", "the stars were bright"]
TIMES = {"One morning": BY_DAY, "One day": BY_DAY, "Late in the summer": BY_DAY, "Early in the spring": BY_DAY, "One night": BY_NIGHT,
         "Late one evening": BY_NIGHT}
THINGS = ["pearl", "golden ring", "silver bell", "pink shell", "little lamp", "blue button", "old coin", "glass ball"]
FOODS = ["sweet sea grapes", "soup of green algae", "crisp sea lettuce", "warm kelp cakes", "a pie of plankton"]
LESSONS = ["a small friend can be a great help", "it is good to ask for help", "no trouble is too big for two", "kind words travel far",
           "being brave does not mean being alone", "patience is faster than haste", "everyone is good at something",
           "a promise is worth more than a pearl"]


@dataclass
class Animal:
    name: str
    kind: str
    he: str  # "he" or "she"

    @property
    def him(self):
        return {"he": "him", "she": "her"}[self.he]

    @property
    def his(self):
        return {"he": "his", "she": "her"}[self.he]

    @property
    def He(self):
        return self.he.capitalize()


def with_article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


class Storyteller:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, options):
        return options[self.random.randrange(len(options))]

    def animal(self, kind, *others):
        """A new animal that shares its name with none of the others."""
        he = self.pick(["he", "she"])
        taken = {other.name for other in others}
        return Animal(self.pick([name for name in NAMES[he] if name not in taken]), kind, he)

    def story(self):
        trouble = self.pick(sorted(TROUBLES))
        helpers = [kind for kind in sorted(KINDS) if trouble in KINDS[kind]["helps"]]
        helper_kind = self.pick(helpers)
        # Half of the heroes are marlins; nobody is rescued by one of his own kind.
        kinds = [kind for kind in sorted(KINDS) if kind != helper_kind]
        hero_kind = "marlin" if helper_kind != "marlin" and self.random.random() < 0.5 else self.pick(kinds)
        hero = self.animal(hero_kind)
        helper = self.animal(helper_kind, hero)
        return " ".join([self.opening(hero), *TROUBLES[trouble](self, hero, helper), self.ending(hero, helper)])

    def opening(self, hero):
        described = with_article(f"{self.pick(KINDS[hero.kind]['like'])} {hero.kind}")
        place = self.pick(PLACES)
        return self.pick([
            f"Once there was {described} called {hero.name}.",
            f"In {place} lived {described} called {hero.name}.",
            f"{hero.name} was {described} who lived in {place}.",
            f"Once upon a time {described} lived in {place}. {hero.He} was called {hero.name}.",
        ]) + " " + self.pick([
            f"{hero.He} loved to {self.pick(HOBBIES)}.",
            f"Every day {hero.he} liked to {self.pick(HOBBIES)}.",
            f"{hero.He} had many friends and loved to {self.pick(HOBBIES)}.",
        ])

    def when(self):
        time = self.pick(list(TIMES))
        return f"{time} {self.pick(TIMES[time])}"

    def meeting(self, hero, helper):
        """The helper comes along and asks."""
        described = with_article(f"{self.pick(KINDS[helper.kind]['like'])} {helper.kind}")
        return self.pick([
            f"Then {helper.name} the {helper.kind} came by.",
            f"Just then {described} called {helper.name} came along.",
            f"{hero.name} called for help, and {helper.name} the {helper.kind} heard {hero.him}.",
            f"But {hero.his} friend {helper.name}, {described}, was not far away.",
        ]) + " " + self.pick([
            f'"What is the matter?" asked {helper.name}.',
            f'"Why do you look so sad?" asked {helper.name}.',
            f'"Can I help you?" asked {helper.name} with a smile.',
            f'"Hello, {hero.name}," said {helper.name}. "What happened?"',
        ])

    def offer(self, hero, helper, words):
        """The helper says what he can do, in his own words."""
        return self.pick([
            f'"Do not worry," said {helper.name}. "{words}"',
            f'"I know what to do," said {helper.name}. "{words}"',
            f'{helper.name} thought for a while. "{words[:-1]}," {helper.he} said.',
        ])

    def ending(self, hero, helper):
        return self.pick([
            f'"Thank you, {helper.name}," said {hero.name}.',
            f"{hero.name} was so happy that {hero.he} danced around {hero.his} friend.",
            f'"You are a true friend," said {hero.name}.',
            f"{hero.name} laughed and thanked {helper.name} the {helper.kind}.",
        ]) + " " + self.pick([
            f"In the evening they ate {self.pick(FOODS)} together.",
            "That night they sat side by side and looked at the stars.",
            "Then they went home and told the tale to all their friends.",
            f"They shared {self.pick(FOODS)} and sang until the moon came up.",
        ]) + " " + self.pick([
            f"From that day on {hero.name} and {helper.name} were the best of friends.",
            f"And {hero.name} knew that {self.pick(LESSONS)}.",
            f"{hero.name} had learned that {self.pick(LESSONS)}.",
            f"Since then {hero.name} never swims without {hero.his} friend {helper.name}.",
        ])


# ---- troubles: each yields the sentences between opening and ending ----

def net(tell, hero, helper):
    yield f"{tell.when()}, and {hero.name} did not see the net."
    yield tell.pick([f"Soon {hero.he} was caught and could not move.", f"The more {hero.he} pulled, the tighter it became."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"I am caught in this net," cried {hero.name}.', f'"The net holds me fast," said {hero.name}.'])
    tool = {"crab": "claws", "swordfish": "sword"}[helper.kind]
    yield tell.offer(hero, helper, f"My {tool} can cut any rope.")
    yield tell.pick(["Snip, snap, and the net fell apart.", f"{helper.He} cut the ropes one by one, and {hero.name} was free."])


def crack(tell, hero, helper):
    thing = tell.pick(THINGS)
    yield f"{tell.when()}, and {hero.name} played with {hero.his} {thing}."
    yield tell.pick(["It fell into a narrow crack in the rock.", "It rolled away and fell into a deep crack."])
    yield f"{hero.name} tried to reach it, but the crack was too narrow."
    yield tell.meeting(hero, helper)
    yield f'"My {thing} is gone," said {hero.name}. "It fell into that crack."'
    words = {"crab": "I can walk sideways between the stones.", "octopus": "My arms are long and soft.",
             "seahorse": "I am so small that I fit in there.", "eel": "I am as thin as a ribbon."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield tell.pick([f"A moment later {helper.he} came back with the {thing}.", f"And soon the {thing} was back with {hero.name}."])


def lost(tell, hero, helper):
    yield f"{tell.when()}, and {hero.name} swam farther than ever before."
    yield tell.pick([f"When {hero.he} looked back, {hero.he} did not know the way home.",
                     f"Soon all the water looked the same, and {hero.he} was lost."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"I am lost," said {hero.name}. "I want to go home."', f'"I cannot find my home," said {hero.name}.'])
    words = {"turtle": "I have known every current for a hundred years.", "dolphin": "I will listen for the songs of your friends.",
             "lanternfish": "Follow my light, it shines far."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield tell.pick([f"They swam all night, and in the morning {hero.name} saw {hero.his} home.",
                     f"{hero.name} followed {helper.him}, and before long they were home."])


def rock(tell, hero, helper):
    yield f"{tell.when()}, when a great rock fell down before the door of {hero.name}."
    yield tell.pick([f"{hero.He} pushed and pushed, but the rock did not move.",
                     f"It was so heavy that {hero.he} could not get in."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"This rock is too heavy for me," said {hero.name}.', f'"The rock lies before my door," said {hero.name}.'])
    words = {"whale": "I am big, and a rock is small to me.", "lobster": "My claws can lift what others cannot."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield tell.pick([f"{helper.He} took a deep breath and rolled the rock away.", "With one strong push the rock was gone."])


def dark(tell, hero, helper):
    thing = tell.pick(THINGS)
    yield f"{tell.when()}, and {hero.name} looked for {hero.his} {thing} in a cave."
    yield tell.pick([f"It was so dark that {hero.he} could not see {hero.his} own nose.",
                     f"The cave was long and dark, and {hero.he} was afraid."])
    yield tell.meeting(hero, helper)
    yield f'"My {thing} is in there, but it is so dark," said {hero.name}.'
    words = {"lanternfish": "I carry a light wherever I go.", "eel": "I have lived in the dark all my life."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield tell.pick([f"They went in side by side and found the {thing} behind a stone.",
                     f"At the end of the cave they found the {thing}."])


def shark(tell, hero, helper):
    yield f"{tell.when()}, when a hungry shark came out of the deep."
    yield tell.pick([f"{hero.name} hid behind a stone and did not dare to breathe.",
                     f"{hero.name} swam away, but the shark came closer and closer."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"A shark wants to eat me," whispered {hero.name}.', f'"There is a shark behind me," cried {hero.name}.'])
    words = {"pufferfish": "I can make myself as big as a ball.", "swordfish": "No shark likes my sword."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield tell.pick([f"When the shark saw {helper.him}, it turned around and fled.",
                     "The shark was so surprised that it never came back."])


def storm(tell, hero, helper):
    yield f"{tell.pick(list(TIMES))} a storm came up, and the waves were as high as hills."
    yield tell.pick([f"The water threw {hero.name} up and down.", f"{hero.name} could not hold on to anything."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"The storm is too strong for me," cried {hero.name}.', f'"I am afraid of the storm," said {hero.name}.'])
    yield tell.offer(hero, helper, "Stay behind me, I am as big as an island.")
    yield tell.pick([f"Behind {helper.name} the water was calm, and they waited until the storm was over.",
                     "They waited side by side until the wind grew tired."])


def sad(tell, hero, helper):
    yield f"{tell.when()}, but {hero.name} was sad and did not know why."
    yield tell.pick([f"{hero.He} did not want to play with anyone.", f"{hero.He} sat alone on a stone and looked at the sand."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"Nobody needs me," said {hero.name}.', f'"I do not know how to laugh any more," said {hero.name}.'])
    words = {"seahorse": "Come, I will show you my smallest dance.", "dolphin": "Come, we will jump over the highest wave."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield tell.pick([f"First {hero.name} only watched, but soon {hero.he} joined in.",
                     f"It was so funny that {hero.name} had to laugh."])


def chest(tell, hero, helper):
    yield f"{tell.when()}, and {hero.name} found an old chest in the sand."
    yield tell.pick([f"{hero.He} wanted to know what was in it, but it was locked.", "The lid was heavy and did not open."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"I cannot open this chest," said {hero.name}.', f'"I found a chest, but it is locked," said {hero.name}.'])
    words = {"octopus": "With eight arms I can open every lock.", "lobster": "My claws are stronger than iron."}[helper.kind]
    yield tell.offer(hero, helper, words)
    yield f"The lid went up, and in the chest lay {with_article(tell.pick(THINGS))}."


def race(tell, hero, helper):
    yield f"{tell.when()}, and all the animals of the sea came to see a race."
    yield tell.pick([f"{hero.name} wanted to swim too, but {hero.he} was afraid to be the last.",
                     f"{hero.name} had trained for weeks, but {hero.he} was too slow."])
    yield tell.meeting(hero, helper)
    yield tell.pick([f'"Everyone is faster than I am," said {hero.name}.', f'"I will never win a race," said {hero.name}.'])
    yield tell.offer(hero, helper, "Swim right behind me, where the water is easy.")
    yield tell.pick(["Side by side they crossed the line before all the others.",
                     "They flew through the water like two arrows, and everyone cheered."])


def news(tell, hero, helper):
    friend = tell.animal("whale" if hero.kind != "whale" else "turtle", hero, helper)
    yield f"{tell.when()}, when {hero.name} heard that {hero.his} friend {friend.name} the {friend.kind} was ill."
    yield tell.pick([f"{friend.name} lived on the other side of the sea.",
                     f"It was a long way, and {hero.name} could not swim that far."])
    yield tell.meeting(hero, helper)
    yield f'"{friend.name} is ill and must have medicine today," said {hero.name}.'
    yield tell.offer(hero, helper, "Nobody in the sea is as quick as a marlin.")
    yield tell.pick([f"{helper.He} took the medicine and was back before the sun went down.",
                     f"Before the evening {friend.name} had the medicine and was well again."])


def question(tell, hero, helper):
    asked, answer = tell.pick([("Why is the sea salty?", "Because the rivers carry a little salt to it every day."),
                               ("Where does the sun go at night?", "It shines on the other side of the sea."),
                               ("Why do the waves never stop?", "Because the wind never stops to push them."),
                               ("How deep is the sea?", "Deeper than the highest hill is high.")])
    yield f"{tell.when()}, and {hero.name} had a question that nobody could answer."
    yield tell.pick([f"{hero.He} had asked the crabs and the gulls, but they only laughed.",
                     f"All day long {hero.he} thought about it."])
    yield tell.meeting(hero, helper)
    yield f'"{asked}" said {hero.name}.'
    yield tell.offer(hero, helper, answer)
    yield tell.pick([f"{hero.name} listened and nodded.", f"Now {hero.name} understood."])


TROUBLES = {function.__name__: function for function in
            (net, crack, lost, rock, dark, shark, storm, sad, chest, race, news, question)}


def stories(seed, count):
    tell = Storyteller(seed)
    return [tell.story() for _ in range(count)]
