"""People, institutions, papers, language, sounds, and events."""

from triptych.data.storybook.lexicon import semantic_class

PERSON = semantic_class(
    "person",
    nouns="""
        pupil              | Schüler m
        ruler              | Herrscher m
        baker bakers       | Bäcker Bäcker m
        queen queens       | Königin Königinnen f
        witch witches      | Hexe Hexen f
        doctor doctors     | Arzt Ärzte m
        nurse nurses       | Krankenschwester Krankenschwestern f
        thief thieves      | Dieb Diebe m
        sailor sailors     | Matrose Matrosen m:Matrosen
        judge judges       | Richter Richter m
        poet poets         | Dichter Dichter m
        dancer dancers     | Tänzerin Tänzerinnen f
    """,
    adjectives="""
        polite  | höflich
        clever  | klug
        brave   | mutig
    """,
    verbs="""
        greet greeted greeted    | begrüßen begrüßte begrüßt
        invite invited invited   | ein·laden lud eingeladen
        thank thanked thanked    | danken dankte gedankt | dat
        help helped helped       | helfen half geholfen | dat
    """,
    acts="""
        was/v? telling/v jokes/1                        | erzählte/v | Witze/1
        was/v? dancing/v in/1 the/2 street/3            | tanzte/v | auf/1 der/2 Straße/3
        was/v? talking/v about/1 the/2 weather/3        | sprach/v | über/1 das/2 Wetter/3
    """,
)

INSTITUTION = semantic_class(
    "institution",
    nouns="""
        bank     | Bank f
        plant    | Fabrik f
        club     | Verein m
        party    | Partei f
        school   | Schule f
        library  | Bibliothek f
        hospital | Krankenhaus n
        theater  | Theater n
        company  | Firma f
        museum   | Museum n
        office   | Büro n
        hotel    | Hotel n
    """,
    adjectives="""
        private     | privat
        modern      | modern
        respected   | angesehen
    """,
    verbs="""
        found founded founded         | gründen gründete gegründet
        lead led led                  | leiten leitete geleitet
        support supported supported   | unterstützen unterstützte unterstützt
        work:for worked worked        | arbeiten arbeitete gearbeitet | für acc
    """,
    acts="""
        was/v? losing/v a/1? lot/1 of/1? money/2    | verlor/v | viel/1 Geld/2
        was/v? hiring/v many/1 people/2             | ein·stellte/v | viele/1 Leute/2
        was/v? saving/v electricity/1               | sparte/v | Strom/1
    """,
)

PAPER = semantic_class(
    "paper",
    nouns="""
        letter    | Brief m
        file      | Akte f
        bill      | Rechnung f
        seal      | Siegel n
        book      | Buch n
        map       | Karte f
        newspaper | Zeitung f
        report    | Bericht m
        contract  | Vertrag m
        diary     | Tagebuch n
        stamp     | Briefmarke f
        poem      | Gedicht n
    """,
    adjectives="""
        secret    | geheim
        forged    | gefälscht
        important | wichtig
    """,
    verbs="""
        copy copied copied            | kopieren kopierte kopiert
        destroy destroyed destroyed   | vernichten vernichtete vernichtet
        check checked checked         | überprüfen überprüfte überprüft
        hand:in handed handed         | ab·geben gab abgegeben
    """,
    acts="""
        was/v? lying/v on/1 the/2 desk/3     | lag/v | auf/1 dem/2 Schreibtisch/3
        proved/v the/1 truth/2               | bewies/v | die/1 Wahrheit/2
        came/v from/1 the/1? king/2          | kam/v | vom/1 König/2
    """,
)

LANGUAGE = semantic_class(
    "language",
    nouns="""
        letter   | Buchstabe m:Buchstaben
        word     | Wort n
        rhyme    | Reim m
        riddle   | Rätsel n
        sentence | Satz m
        question | Frage f
        rule     | Regel f
        name     | Name m:Namen
        syllable | Silbe f
        verse    | Vers m
        joke     | Witz m
        proverb  | Sprichwort n
    """,
    adjectives="""
        difficult | schwierig
        simple    | einfach
        funny     | lustig
    """,
    verbs="""
        learn learned learned            | lernen lernte gelernt
        pronounce pronounced pronounced  | aus·sprechen sprach ausgesprochen
        forget forgot forgotten          | vergessen vergaß vergessen
        explain explained explained      | erklären erklärte erklärt
    """,
    acts="""
        was/v? missing/v in/1 the/1? text/2     | fehlte/v | im/1 Text/2
        sounded/v like/1 music/2                | klang/v | wie/1 Musik/2
        had/v no/1 meaning/2                    | hatte/v | keine/1 Bedeutung/2
    """,
)

SOUND = semantic_class(
    "sound",
    nouns="""
        bark     | Gebell n
        organ    | Orgel f
        noise    | Geräusch n
        song     | Lied n
        scream   | Schrei m
        whistle  | Pfiff m
        melody   | Melodie f
        violin   | Geige f
        flute    | Flöte f
        drum     | Trommel f
        trumpet  | Trompete f
        voice    | Stimme f
    """,
    adjectives="""
        loud   | laut
        quiet  | leise leis-
        shrill | schrill
    """,
    verbs="""
        hear heard heard                   | hören hörte gehört
        record recorded recorded           | auf·nehmen nahm aufgenommen
        recognize recognized recognized    | erkennen erkannte erkannt
        listen:to listened listened        | lauschen lauschte gelauscht | dat
    """,
    acts="""
        was/v? waking/v the/1 neighbors/2               | auf·weckte/v | die/1 Nachbarn/2
        was/v? echoing/v through/1 the/2 night/3        | hallte/v | durch/1 die/2 Nacht/3
        stopped/v suddenly/1                            | auf·hörte/v | plötzlich/1
    """,
)

EVENT = semantic_class(
    "event",
    nouns="""
        match    | Spiel n
        date     | Verabredung f
        party    | Feier f
        spring   | Frühling m
        jam      | Stau m
        concert  | Konzert n
        wedding  | Hochzeit f
        race     | Rennen n
        journey  | Reise f
        summer   | Sommer m
        trip     | Ausflug m
        exam     | Prüfung f
    """,
    adjectives="""
        boring        | langweilig
        exciting      | aufregend
        unforgettable | unvergesslich
    """,
    verbs="""
        enjoy enjoyed enjoyed         | genießen genoss genossen
        survive survived survived     | überleben überlebte überlebt
        wait:for waited waited        | warten wartete gewartet | auf acc
        dream:of dreamed dreamed      | träumen träumte geträumt | von dat
    """,
    acts="""
        began/v too/1 late/2            | an·fing/v | zu/1 spät/2
        lasted/v too/1 long/2           | dauerte/v | zu/1 lange/2
        was/v? ending/v in/1 chaos/2    | endete/v | im/1 Chaos/2
    """,
)

CLASSES = (PERSON, INSTITUTION, PAPER, LANGUAGE, SOUND, EVENT)
