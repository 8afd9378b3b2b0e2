"""Animals, plants, landscapes, the body, and food."""

from triptych.data.storybook.lexicon import semantic_class

ANIMAL = semantic_class(
    "animal",
    nouns="""
        crane           | Kranich m
        bat             | Fledermaus f
        seal            | Robbe f
        mole            | Maulwurf m
        calf            | Kalb n
        fox foxes       | Fuchs Füchse m
        dog dogs        | Hund Hunde m
        owl owls        | Eule Eulen f
        goat goats      | Ziege Ziegen f
        horse horses    | Pferd Pferde n
        rabbit rabbits  | Kaninchen Kaninchen n
        bear bears      | Bär Bären m:Bären
    """,
    adjectives="""
        hungry | hungrig
        shy    | scheu
        wild   | wild
    """,
    verbs="""
        feed fed fed              | füttern fütterte gefüttert
        stroke stroked stroked    | streicheln streichelte gestreichelt
        catch caught caught       | ein·fangen fing eingefangen
        free freed freed          | frei·lassen ließ freigelassen
    """,
    acts="""
        was/v? sleeping/v in/1 the/1? straw/2        | schlief/v | im/1 Stroh/2
        was/v? trembling/v with/1 cold/2             | zitterte/v | vor/1 Kälte/2
        was/v? drinking/v from/1 the/2 puddle/3      | trank/v | aus/1 der/2 Pfütze/3
    """,
)

PLANT = semantic_class(
    "plant",
    nouns="""
        plant       | Pflanze f
        palm        | Palme f
        trunk       | Stamm m
        bark        | Rinde f
        rose        | Rose f
        oak         | Eiche f
        bush        | Busch m
        apple_tree  | Apfelbaum m
        cherry_tree | Kirschbaum m
        sunflower   | Sonnenblume f
        hedge       | Hecke f
        leaf        | Blatt n
    """,
    adjectives="""
        green    | grün
        mossy    | moosig
        withered | verwelkt
    """,
    verbs="""
        water watered watered  | gießen goss gegossen
        cut:off cut cut        | ab·schneiden schnitt abgeschnitten
        burn burned burned     | verbrennen verbrannte verbrannt
        spray sprayed sprayed  | besprühen besprühte besprüht
    """,
    acts="""
        was/v? growing/v beside/1 the/2 path/3       | wuchs/v | neben/1 dem/2 Weg/3
        was/v? rotting/v in/1 the/1? shade/2         | faulte/v | im/1 Schatten/2
        was/v? drying/v in/1 the/2 heat/3            | vertrocknete/v | in/1 der/2 Hitze/3
    """,
)

OUTDOORS = semantic_class(
    "outdoors",
    nouns="""
        bank      | Ufer n
        spring    | Quelle f
        lock      | Schleuse f
        pen       | Gehege n
        island    | Insel f
        lake      | See m
        valley    | Tal n
        meadow    | Wiese f
        harbor    | Hafen m
        beach     | Strand m
        waterfall | Wasserfall m
        swamp     | Sumpf m
    """,
    adjectives="""
        muddy   | schlammig
        foggy   | neblig
        flooded | überschwemmt
    """,
    verbs="""
        reach reached reached      | erreichen erreichte erreicht
        explore explored explored  | erkunden erkundete erkundet
        walk:around walked walked  | herum·gehen ging herumgegangen | um acc sein
        drive:past drove driven    | vorbei·fahren fuhr vorbeigefahren | an dat sein
    """,
    acts="""
        was/v? lying/v in/1 the/1? fog/2                  | lag/v | im/1 Nebel/2
        was/v? glittering/v in/1 the/1? moonlight/2       | glitzerte/v | im/1 Mondlicht/2
        smelled/v of/1 algae/2                            | roch/v | nach/1 Algen/2
    """,
)

BODY = semantic_class(
    "body",
    nouns="""
        palm     | Handfläche f
        chest    | Brust f
        mole     | Muttermal n
        pupil    | Pupille f
        trunk    | Rüssel m
        calf     | Wade f
        bill     | Schnabel m
        organ    | Organ n
        knee     | Knie n
        shoulder | Schulter f
        nose     | Nase f
        finger   | Finger m
    """,
    adjectives="""
        swollen   | geschwollen
        injured   | verletzt
        inflamed  | entzündet
    """,
    verbs="""
        examine examined examined  | untersuchen untersuchte untersucht
        bandage bandaged bandaged  | verbinden verband verbunden
        treat treated treated      | behandeln behandelte behandelt
        rub rubbed rubbed          | reiben rieb gerieben
    """,
    acts="""
        was/v? hurting/v terribly/1        | schmerzte/v | furchtbar/1
        was/v? bleeding/v a/1 little/2     | blutete/v | ein/1 wenig/2
        was/v? healing/v slowly/1          | heilte/v | langsam/1
    """,
)

FOOD = semantic_class(
    "food",
    nouns="""
        jam                | Marmelade f
        date               | Dattel f
        cake cakes         | Kuchen Kuchen m
        bread              | Brot n
        cheese             | Käse m
        soup soups         | Suppe Suppen f
        apple apples       | Apfel Äpfel m
        pear pears         | Birne Birnen f
        egg eggs           | Ei Eier n
        sausage sausages   | Wurst Würste f
        potato potatoes    | Kartoffel Kartoffeln f
        pancake pancakes   | Pfannkuchen Pfannkuchen m
    """,
    adjectives="""
        sweet     | süß
        delicious | köstlich
        sour      | sauer saur-
    """,
    verbs="""
        eat:up ate eaten           | auf·essen aß aufgegessen
        taste tasted tasted        | probieren probierte probiert
        order ordered ordered      | bestellen bestellte bestellt
        prepare prepared prepared  | zu·bereiten bereitete zubereitet
    """,
    acts="""
        smelled/v of/1 cinnamon/2                   | roch/v | nach/1 Zimt/2
        was/v? cooling/v on/1 the/2 windowsill/3    | ab·kühlte/v | auf/1 dem/2 Fensterbrett/3
        was/v? sticking/v to/1 the/1? plate/2       | klebte/v | am/1 Teller/2
    """,
)

CLASSES = (ANIMAL, PLANT, OUTDOORS, BODY, FOOD)
