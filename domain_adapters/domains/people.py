"""Who lives in the demo's fifteen countries: names in their own script, and addresses and numbers that cannot exist.

Pure. E-mail hosts are reserved names (RFC 2606), phone numbers start with three zeros, which no country assigns.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random

__all__ = ["COUNTRIES", "Country", "Person", "person"]


@dataclass(frozen=True, slots=True)
class Country:
    """A country, its share of the customers, and how its people are called; ``家名|roman`` gives the romanised form."""

    code: str
    share: float
    dial: str
    currency: str
    cities: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


COUNTRIES: tuple[Country, ...] = (
    Country(
        "DE", 0.29, "49", "EUR", _listed("Berlin, Hamburg, München, Köln, Leipzig, Nürnberg"),
        _listed("Anna, Jürgen, Søren, Käthe, Lukas, Zoë, Björn, Hannah, Günther, Mia, Jörg, Lena"),
        _listed("Müller, Schmidt, Weiß, Groß, Böhm, Krüger, Schäfer, von der Heide, Özdemir, Fuchs, Jäger, Vogel"),
    ),
    Country(
        "FR", 0.18, "33", "EUR", _listed("Paris, Lyon, Marseille, Nîmes, Orléans"),
        _listed("Élodie, François, Chloé, Jérôme, Inès, Benoît, Margaux, Loïc, Zoé, Hélène"),
        _listed("Lefèvre, Garçon, Müller, D'Aubigné, Noël, Béranger, Dupont, Château, Moreau, Girard"),
    ),
    Country(
        "GB", 0.10, "44", "GBP", _listed("London, Leeds, Bristol, Glasgow"),
        _listed("Oliver, Amelia, Siân, Rhys, Niamh, George, Zadie, Callum"),
        _listed("Smith, O'Neill, MacDonald, Patel, Jones, Featherstonehaugh, Khan, Llewellyn"),
    ),
    Country(
        "NL", 0.08, "31", "EUR", _listed("Amsterdam, Rotterdam, Utrecht, Eindhoven"),
        _listed("Daan, Sanne, Joost, Fenna, Björn, Maaike, Sjoerd, Noor"),
        _listed("de Vries, van den Berg, Jansen, Bakker, van 't Hoff, Mulder, Visser, Smit"),
    ),
    Country(
        "ES", 0.07, "34", "EUR", _listed("Madrid, Barcelona, Sevilla, Málaga"),
        _listed("Lucía, José, Íñigo, Begoña, Andrés, Núria, Martín, Ximena"),
        _listed("García, Núñez, Ibáñez, Muñoz, Peña, Fernández, Ordóñez, López"),
    ),
    Country(
        "IT", 0.06, "39", "EUR", _listed("Roma, Milano, Napoli, Forlì"),
        _listed("Giulia, Niccolò, Chiara, Matteo, Noè, Alessia, Davide, Zoe"),
        _listed("Rossi, D'Angelo, Bianchi, Dallabà, Ferrari, Lo Presti, Conti, Ricci"),
    ),
    Country(
        "PL", 0.05, "48", "PLN", _listed("Warszawa, Kraków, Łódź, Gdańsk"),
        _listed("Łukasz, Małgorzata, Wojciech, Zofia, Paweł, Agnieszka, Stanisław, Róża"),
        _listed("Kowalski, Wiśniewska, Wójcik, Dąbrowski, Źrebiec, Lewandowska, Kamiński, Żak"),
    ),
    Country(
        "AT", 0.04, "43", "EUR", _listed("Wien, Graz, Linz"),
        _listed("Florian, Jana, Maximilian, Käthe, Jakob, Valentina"),
        _listed("Gruber, Huber, Pichler, Hofstätter, Mayrhofer, Köck"),
    ),
    Country(
        "BE", 0.03, "32", "EUR", _listed("Brussel, Gent, Liège"),
        _listed("Noé, Lotte, Arthur, Elise, Mathéo, Anaïs"),
        _listed("Peeters, Janssens, Dubois, Maes, Lambert, D'Hondt"),
    ),
    Country(
        "SE", 0.03, "46", "SEK", _listed("Stockholm, Göteborg, Malmö"),
        _listed("Åsa, Björn, Elin, Öjvind, Märta, Nils"),
        _listed("Åkesson, Öberg, Lindström, Sjögren, Håkansson, Ek"),
    ),
    Country(
        "CH", 0.025, "41", "CHF", _listed("Zürich, Genève, Lugano"),
        _listed("Reto, Céline, Urs, Flurina, Noemi, Beat"),
        _listed("Meier, Zürcher, Favre, Bernasconi, Brönnimann, Keller"),
    ),
    Country(
        "US", 0.02, "1", "USD", _listed("New York, Austin, San José"),
        _listed("James, Latoya, Zoë, Miguel, Emily, Beyoncé"),
        _listed("Johnson, Nguyen, O'Brien, Gutiérrez, Washington, Lee"),
    ),
    Country(
        "JP", 0.012, "81", "JPY", _listed("東京, 大阪, 札幌"),
        _listed("翔太|shota, 美咲|misaki, さくら|sakura, 健|ken, 陽菜|hina"),
        _listed("佐藤|sato, 鈴木|suzuki, 髙橋|takahashi, 渡邊|watanabe, 伊藤|ito"),
        family_first=True,
    ),
    Country(
        "KR", 0.008, "82", "KRW", _listed("서울, 부산, 인천"),
        _listed("지우|jiwoo, 서연|seoyeon, 민준|minjun, 하윤|hayun, 도현|dohyun"),
        _listed("김|kim, 이|lee, 박|park, 최|choi, 정|jung"),
        family_first=True,
    ),
    Country(
        "BR", 0.005, "55", "BRL", _listed("São Paulo, Brasília, Belém"),
        _listed("João, Conceição, Luís, Antônia, Thaís, Sebastião"),
        _listed("Gonçalves, da Conceição, Araújo, Simões, Assunção, Silva"),
    ),
)  # fmt: skip

_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "'": "", "’": ""})


@dataclass(frozen=True, slots=True)
class Person:
    """A name in its own script and ways to reach its bearer; those that nobody told us are None."""

    name: str
    email: str | None
    phone: str | None


def person(country: Country, number: int, random: Random) -> Person:
    """Invent the person with this number."""
    given, _, given_roman = random.choice(country.given).partition("|")
    family, _, family_roman = random.choice(country.family).partition("|")
    name = f"{family}{given}" if country.family_first else f"{given} {family}"
    local = f"{_ascii(given_roman or given)}.{_ascii(family_roman or family)}{number}"
    host = random.choice(("example.com", "example.org", "example.net"))
    email = f"{local}@{host}" if random.random() > 0.03 else None
    phone = f"+{country.dial}000{random.randrange(10**7):07}" if random.random() > 0.08 else None
    return Person(name, email, phone)


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode()
    return plain.lower().replace(" ", "")
