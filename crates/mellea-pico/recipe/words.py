"""Value lists and random names. A hash of the value decides whether it belongs to train or held-out."""
import random
import zlib

FIRST = """Alice Bob Carol David Emma Frank Grace Henry Ingrid Jack Karen Liam Mia Noah Olivia Peter Quinn Rachel Sam
Tina Umar Vera Walter Xenia Yusuf Zoe Aaron Bella Carlos Diana Elena Felix Greta Hugo Irene Jonas Kira Leo Marta Nils
Oscar Paula Rosa Simon Theo Ursula Victor Wendy Yara Zara Anna Ben Clara Dylan Eva Finn Gina Hannah Ivan Julia Kevin
Lucy Mark Nora Otto Priya Ravi Sofia Tom Uma Vincent Will Ximena Yan Zack Amir Bianca Chen Dmitri Esther Fatima George
Hiro Isla James Kenji Lena Mateo Nadia Omar Pedro Rita Sven Tara Ulrich Violet Wei Yuki Zainab Adam Beth Cody Doris
Ethan Fiona Gavin Heidi Igor Jane Kyle Laura Max Nina Owen Penny Ralph Sarah Tony Vivian Wanda Abby Brian Cathy Dan
Erik Flora Gus Helen Ida Joel Kate Lars Maria Neil Opal Phil Rob Sue Tim Val Mary John Paul Linda Steve Mike Susan
Ada Alan Grete Ludwig Marie Sara Ahmed Ali Hana Jin Mei Noor Pablo Rosalind Sanjay Tariq Zhang Bjorn Astrid""".split()
LAST = """Stone Miller Smith Brown Clark Davis Evans Fisher Green Hall Irving Jones King Lopez Moore Novak Owens Parker
Quill Reed Scott Turner Underwood Vance Walker Young Zimmer Adler Baker Cooper Diaz Ellis Ford Gupta Hansen Ito Jensen
Khan Lee Meyer Nguyen Olsen Patel Rossi Sato Tanaka Ueda Vargas Weber Xu Yilmaz Zhou Archer Bell Carter Dunn Engel
Fox Gray Hill Ivanov Kim Lindqvist Marsh North Ortiz Price Rivera Silva Tran Voss Wood Fernandez Garcia Hernandez
Johnson Williams Wilson Anderson Taylor Thomas Martin Thompson White Harris Lewis Robinson Lovelace Turing Hopper""".split()
CITY = """Paris London Berlin Madrid Rome Oslo Vienna Prague Lisbon Dublin Tokyo Osaka Kyoto Delhi Mumbai Cairo Lagos
Nairobi Boston Chicago Denver Austin Seattle Toronto Montreal Lima Bogota Quito Havana Sydney Perth Auckland Seoul
Beijing Shanghai Hanoi Bangkok Manila Jakarta Athens Warsaw Budapest Zurich Geneva Munich Hamburg Milan Naples Turin
Porto Seville Lyon Nice Ghent Bruges Helsinki Stockholm Copenhagen Tallinn Riga Vilnius Dallas Houston Miami Atlanta
Portland Leeds York Bath Oxford Cambridge Dresden Leipzig Cologne Basel Bern Salzburg Krakow Sofia Bucharest""".split()
PRODUCT = """lamp chair table desk sofa keyboard mouse monitor laptop phone tablet camera printer router speaker headphone
bicycle helmet jacket shirt sweater scarf hat glove boot sandal backpack suitcase wallet watch ring bottle mug plate fork
knife spoon kettle toaster blender oven fridge pan pot towel pillow blanket mattress curtain carpet mirror clock candle
vase notebook pencil pen marker stapler folder binder eraser ruler drill hammer saw wrench screwdriver ladder rope tent
stove lantern compass umbrella charger cable battery adapter drone scanner projector microphone guitar violin drum flute
puzzle kite ball racket skateboard scooter toy doll robot book magazine poster""".split()
EVENT = """launch party meeting workshop picnic wedding conference concert webinar dinner lunch breakfast barbecue
seminar hackathon exhibition festival reunion ceremony gala retreat fair tournament screening demo kickoff review
rehearsal opening celebration lecture tour auction marathon parade playdate housewarming graduation anniversary
brunch showcase meetup summit training interview premiere banquet recital race raffle bonfire""".split()
EVENT_MOD = """spring summer autumn winter team company annual product garden charity science music book art city rust
data design birthday office school family jazz chess film food wine street""".split()
COMPANY = "Acme Globex Initech Umbrella Hooli Vandelay Stark Wonka Cyberdyne Soylent Tyrell Massive Aperture Oscorp".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
VALUE_WORDS = {w.lower() for w in FIRST + LAST + CITY + PRODUCT + EVENT + EVENT_MOD + COMPANY}

ON = "b c d f g h j k l m n p r s t v w z br ch cl dr fl gr kr pl pr sh sk st th tr".split()
VO = "a e i o u a e i o ai ea ee ia io ou".split()
CO = ["", "", "", "n", "r", "l", "s", "t", "m", "k", "nd", "rt", "x", "ck", "th", "ll", "ss", "ng"]


def held(word):
    """One value in six belongs to the held-out split only."""
    return zlib.crc32(word.lower().encode()) % 6 == 0


class Values:
    """Draws values of one split; `p_list` of them from the lists, the rest invented."""

    def __init__(self, seed, heldout):
        self.r = random.Random(seed)
        self.heldout = heldout
        self.lists = {}
        for key, words in dict(
            first=FIRST, last=LAST, city=CITY, product=PRODUCT, event=EVENT, company=COMPANY
        ).items():
            self.lists[key] = [w for w in words if held(w) == heldout] or words[:2]

    def invented(self, cap):
        while True:
            w = "".join(
                self.r.choice(ON) + self.r.choice(VO) + self.r.choice(CO)
                for _ in range(self.r.choice((1, 2, 2, 2, 3)))
            )
            if self.r.random() < 0.1:
                w = self.r.choice("aeiou") + w
            if 3 <= len(w) <= 11 and held(w) == self.heldout:
                return w.capitalize() if cap else w

    def word(self, kind, p_list=0.5):
        if self.r.random() < p_list:
            return self.r.choice(self.lists[kind])
        return self.invented(kind not in ("product", "event"))

    def first(self):
        return self.word("first")

    def last(self):
        return self.word("last")

    def person(self, p_full=0.4):
        if self.r.random() >= p_full:
            return self.first()
        x = self.r.random()
        if x < 0.03:
            return f"{self.first()} {self.r.choice('ABCDEFGHJKLMNPRSTW')}. {self.last()}"
        if x < 0.07:
            return f"{self.first()} {self.first()} {self.last()}"
        if x < 0.09:
            return f"{self.first()}-{self.first()} {self.last()}"
        if x < 0.11:
            return f"{self.first()} O'{self.last()}"
        return f"{self.first()} {self.last()}"

    def city(self):
        c = self.word("city")
        x = self.r.random()
        if x < 0.08:
            return self.r.choice(("New ", "San ", "Port ", "North ")) + c
        return c

    def product(self):
        p = self.word("product", 0.75)
        if self.r.random() < 0.3:
            p = self.r.choice(("red ", "blue ", "green ", "black ", "white ", "small ", "large ", "wooden ", "steel ")) + p
        return p

    def event(self):
        e = self.word("event", 0.8)
        if self.r.random() < 0.3:
            e = (self.r.choice(EVENT_MOD) if self.r.random() < 0.8 else self.invented(False)) + " " + e
        return e

    def company(self):
        return self.word("company")

    def day(self):
        return self.r.choice(DAYS)

    def month(self):
        return self.r.choice(MONTHS)

    def num(self, lo, hi):
        return self.r.randint(lo, hi)
