"""Machines, gear, containers, clothing, and what fits a pocket."""

from triptych.data.storybook.lexicon import semantic_class

MACHINE = semantic_class(
    "machine",
    nouns="""
        crane  | Kran m
        spring | Feder f
        lock   | Schloss n
        pipe   | Rohr n
        file   | Feile f
        hammer | Hammer m
        engine | Motor m
        pump   | Pumpe f
        wheel  | Rad n
        shovel | Schaufel f
        chain  | Kette f
        clock  | Uhr f
    """,
    adjectives="""
        rusty  | rostig
        broken | kaputt
        oily   | ölig
    """,
    verbs="""
        repair repaired repaired  | reparieren reparierte repariert
        oil oiled oiled           | ölen ölte geölt
        polish polished polished  | polieren polierte poliert
        take:apart took taken     | auseinander·nehmen nahm auseinandergenommen
    """,
    acts="""
        was/v? rusting/v in/1 the/1? rain/2              | rostete/v | im/1 Regen/2
        was/v? squeaking/v all/1 day/2                   | quietschte/v | den/1? ganzen/1 Tag/2
        was/v? not/n working/v any/m? more/m             | funktionierte/v | nicht/n mehr/m
    """,
)

GEAR = semantic_class(
    "gear",
    nouns="""
        bat    | Schläger m
        bow    | Bogen m
        club   | Keule f
        sword  | Schwert n
        spear  | Speer m
        ball   | Ball m
        stick  | Stock m
        shield | Schild m
        net    | Netz n
        rope   | Seil n
        torch  | Fackel f
        flag   | Fahne f
    """,
    adjectives="""
        light     | leicht
        dangerous | gefährlich
        handmade  | handgemacht
    """,
    verbs="""
        swing swung swung        | schwingen schwang geschwungen
        pick:up picked picked    | auf·heben hob aufgehoben
        throw:away threw thrown  | weg·werfen warf weggeworfen
        lend lent lent           | verleihen verlieh verliehen
    """,
    acts="""
        was/v? lying/v in/1 the/1? grass/2             | lag/v | im/1 Gras/2
        was/v? leaning/v against/1 the/1? fence/2      | lehnte/v | am/1 Zaun/2
        was/v? hanging/v on/1 the/2 wall/3             | hing/v | an/1 der/2 Wand/3
    """,
)

CONTAINER = semantic_class(
    "container",
    nouns="""
        trunk             | Koffer m
        chest             | Truhe f
        box boxes         | Kiste Kisten f
        basket baskets    | Korb Körbe m
        bag bags          | Tasche Taschen f
        bottle bottles    | Flasche Flaschen f
        barrel barrels    | Fass Fässer n
        bucket buckets    | Eimer Eimer m
        parcel parcels    | Paket Pakete n
        pot pots          | Topf Töpfe m
        cupboard          | Schrank m
        drawer            | Schublade f
    """,
    adjectives="""
        empty  | leer
        full   | voll
        locked | verschlossen
    """,
    verbs="""
        open opened opened        | auf·machen machte aufgemacht
        close closed closed       | zu·machen machte zugemacht
        fill filled filled        | füllen füllte gefüllt
        carry carried carried     | tragen trug getragen
    """,
    acts="""
        was/v? standing/v in/1 the/2 corner/3      | stand/v | in/1 der/2 Ecke/3
        contained/v a/1 secret/2                   | enthielt/v | ein/1 Geheimnis/2
        belonged/v to/1? a/1 pirate/2              | gehörte/v | einem/1 Piraten/2
    """,
)

CLOTHING = semantic_class(
    "clothing",
    nouns="""
        bow    | Schleife f
        crown  | Krone f
        hat    | Hut m
        coat   | Mantel m
        scarf  | Schal m
        dress  | Kleid n
        shirt  | Hemd n
        glove  | Handschuh m
        skirt  | Rock m
        jacket | Jacke f
        belt   | Gürtel m
        cap    | Mütze f
    """,
    adjectives="""
        elegant   | elegant
        colorful  | bunt
        expensive | teuer teur-
    """,
    verbs="""
        try:on tried tried    | an·probieren probierte anprobiert
        take:off took taken   | ab·legen legte abgelegt
        wash washed washed    | waschen wusch gewaschen
        sew sewed sewn        | nähen nähte genäht
    """,
    acts="""
        was/v? drying/v on/1 the/2 line/3          | trocknete/v | auf/1 der/2 Leine/3
        was/v? hanging/v in/1 the/1? wardrobe/2    | hing/v | im/1 Kleiderschrank/2
        cost/v a/1 fortune/2                       | kostete/v | ein/1 Vermögen/2
    """,
)

POCKET = semantic_class(
    "pocket",
    nouns="""
        pen              | Stift m
        match            | Streichholz n
        pipe             | Pfeife f
        ruler            | Lineal n
        coin coins       | Münze Münzen f
        key keys         | Schlüssel Schlüssel m
        candle candles   | Kerze Kerzen f
        comb combs       | Kamm Kämme m
        needle needles   | Nadel Nadeln f
        button buttons   | Knopf Knöpfe m
        knife knives     | Messer Messer n
        spoon spoons     | Löffel Löffel m
    """,
    adjectives="""
        tiny   | winzig
        useful | nützlich
        stolen | gestohlen
    """,
    verbs="""
        lose lost lost           | verlieren verlor verloren
        look:for looked looked   | suchen suchte gesucht
        give:back gave given     | zurück·geben gab zurückgegeben
        pocket pocketed pocketed | ein·stecken steckte eingesteckt
    """,
    acts="""
        was/v? lying/v in/1 the/1? toolbox/2       | lag/v | im/1 Werkzeugkasten/2
        fell/v on/1 the/2 floor/3                  | fiel/v | auf/1 den/2 Boden/3
        belonged/v to/1? the/1 teacher/2           | gehörte/v | dem/1 Lehrer/2
    """,
)

CLASSES = (MACHINE, GEAR, CONTAINER, CLOTHING, POCKET)
