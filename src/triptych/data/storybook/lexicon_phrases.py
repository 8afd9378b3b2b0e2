"""Names, families, homes, and phrases that belong to no class of things."""

WOMEN = """
    Anna Emma Clara Lena Maria Julia Sophie Laura Nora Martha Ida Eva
"""
MEN = """
    Tom Paul Max Felix Jonas Peter Martin David Oskar Emil Karl Leo
"""

KIN = """
    brother     | Bruder m
    sister      | Schwester f
    father      | Vater m
    mother      | Mutter f
    uncle       | Onkel m
    aunt        | Tante f
    nephew      | Neffe m:Neffen
    niece       | Nichte f
    grandfather | Großvater m
    grandmother | Großmutter f
"""

HOMES = """
    village    | Dorf n
    town       | Stadt f
    hut        | Hütte f
    tower      | Turm m
    palace     | Palast m
    farmhouse  | Bauernhaus n
    lighthouse | Leuchtturm m
    mill       | Mühle f
"""

OWNERS = """
    fisherman fishermen | Fischers Fischer m
    neighbor neighbors  | Nachbarn Nachbarn m
    farmer farmers      | Bauern Bauern m
    hunter hunters      | Jägers Jäger m
    child children      | Kindes Kinder n
    king kings          | Königs Könige m
"""  # in German the genitives

PLAIN_ADJECTIVES = """
    old       | alt
    new       | neu
    small     | klein
    big       | groß
    strange   | seltsam
    beautiful | schön
    ugly      | hässlich
    famous    | berühmt
"""  # they fit every class, so they give no sense away

HOME_ADJECTIVES = """
    old    | alt
    small  | klein
    big    | groß
    lonely | einsam
    pretty | hübsch
    famous | berühmt
"""

LANDS = """
    by/1 the/1? sea/2      | am/1 Meer/2
    on/1 the/1? river/2    | am/1 Fluss/2
    on the coast           | an der Küste
    behind the mountains   | hinter den Bergen
    between the hills      | zwischen den Hügeln
    near the border        | nahe der Grenze
"""

ONCE = """
    one morning                     | eines Morgens
    one evening                     | eines Abends
    one/1 winter/2 day/2            | eines/1 Wintertages/2
    one/1 rainy/2 day/3             | an/1? einem/1 regnerischen/2 Tag/3
    on/1 Sunday/2                   | am/1 Sonntag/2
    during the holidays             | während der Ferien
    a/1 week/2 later/3              | eine/1 Woche/2 später/3
"""

TIMES = """
    then                            | dann
    later                           | später
    soon                            | bald
    luckily                         | zum/1? Glück/1
    the/1 next/2 day/3              | am/1 nächsten/2 Tag/3
    in/1 the/1? afternoon/2         | am/1 Nachmittag/2
    after/1 breakfast/2             | nach/1 dem/2? Frühstück/2
    two days later                  | zwei Tage später
    an hour later                   | eine Stunde später
    at/1 midnight/2                 | um/1 Mitternacht/2
"""

WHENS = """
    before/1 dinner/2               | vor/1 dem/2? Abendessen/2
    after/1 work/2                  | nach/1 der/2? Arbeit/2
    on/1 Monday/2                   | am/1 Montag/2
    during the break                | in der Pause
    in/1 the/1? morning/2           | am/1 Morgen/2
    without help                    | ohne Hilfe
"""

MANNERS = """
    again       | wieder
    secretly    | heimlich
    immediately | sofort
    patiently   | geduldig
    alone       | allein
    once more   | noch einmal
"""

OFTEN = """
    already | schon
    often   | oft
    never   | nie
    finally | endlich
    almost  | fast
"""

MODALS = """
    wanted/m                 | wollte/m
    had/m                    | musste/m
    was/m? allowed/m         | durfte/m
    was/m? able/m            | konnte/m
    was/m? supposed/m        | sollte/m
"""

AIMS = """
    tried   | versuchte
    hoped   | hoffte
    decided | beschloss
    began   | begann
    planned | plante
"""

SPEECHES = """
    said     | sagte
    knew     | wusste
    believed | glaubte
    noticed  | bemerkte
    claimed  | behauptete
"""

SHOWINGS = """
    showed      | zeigte
    described   | beschrieb
    recommended | empfahl
"""

# English | German verb | German rest, which follows the verb at once or ends the clause
MOTIONS = """
    came/v back/p            | kam/v     | zurück/p
    got/v up/p early/1       | stand/v   | früh/1 auf/p
    went/v out/p             | ging/v    | hinaus/p
    stayed/v at/1 home/2     | blieb/v   | zu/1 Hause/2
    woke/v up/p              | wachte/v  | auf/p
"""

REACTIONS = """
    laughed/v loudly/1       | lachte/v  | laut/1
    smiled/v proudly/1       | lächelte/v | stolz/1
    came/v in/p              | kam/v     | herein/p
    ran/v away/p             | lief/v    | weg/p
    woke/v up/p              | wachte/v  | auf/p
    began/v to/1? sing/1     | begann/v  | zu/1? singen/1
"""

MOODS = """
    happily    | glücklich
    late       | spät
    quickly    | schnell
    peacefully | friedlich
"""

REGARDS = """
    look:at looked looked       | an·sehen sah angesehen
    think:about thought thought | nach·denken dachte nachgedacht | über acc
    talk:about talked talked    | sprechen sprach gesprochen | über acc
    draw drew drawn             | zeichnen zeichnete gezeichnet
    admire admired admired      | bewundern bewunderte bewundert
"""  # verbs that fit every class, so they give no sense away

NUMBERS = """
    three | drei
    four  | vier
    five  | fünf
    six   | sechs
    seven | sieben
    eight | acht
    nine  | neun
    ten   | zehn
    eleven | elf
    twelve | zwölf
"""
