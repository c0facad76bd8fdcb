//! What the tasks are about: ten texts each.

pub(crate) const REVIEWS: [&str; 10] = [
    "The kettle is fine, but it leaks a little.",
    "Best headphones I ever had. I would buy them again at once.",
    "The blender broke on the second day. A waste of money.",
    "It does what it should, no more and no less.",
    "My children love this tent, and so do I.",
    "The screen is too dark to read outside, but the battery lasts for a week.",
    "Awful smell, awful sound. I sent it back.",
    "A solid chair for the price.",
    "I wanted to like this lamp, but it flickers.",
    "Five stars, and I would give six if I could.",
];

pub(crate) const DATES: [&str; 10] = [
    "The launch is on March 5, 2024 in Lisbon.",
    "She was born on July 19, 1987.",
    "The contract ends on December 31, 2026.",
    "We met on August 2, 2019, by the sea.",
    "The museum opened on May 14, 2005.",
    "Payment is due on October 9, 2023.",
    "On January 1, 2000 nothing happened.",
    "The storm reached the coast on September 21, 1938.",
    "Her flight leaves on June 30, 2025 at noon.",
    "The treaty was signed on April 11, 1951.",
];

pub(crate) const CONTACTS: [&str; 10] = [
    "Write to Ada Moss at ada dot moss at example dot com.",
    "Ben Ruiz reads ben@ruiz.org every morning.",
    "For refunds, ask Carla Jensen (CARLA@SHOP.NET).",
    "Dora Lind: dora (at) lind (dot) se.",
    "The editor, Eli Novak, is reached under eli.novak@press.io.",
    "Mail Fay Odum, fay at odum dot co dot uk, before Friday.",
    "Questions go to Gus Pratt <gus.pratt@pratt.biz>.",
    "Hana Sato's address is hana, followed by @sato.jp.",
    "Ivan Petrov moved from ivan@old.ru to ivan@new.ru.",
    "Call June Wu, or write: JUNE at wu dot net.",
];

pub(crate) const SUBJECTS: [&str; 10] = [
    "Bees find their way home by the sun, and tell each other in dances where flowers are.",
    "The bakery sells rye bread, rolls, cakes and coffee from six in the morning.",
    "Glaciers carve valleys, carry stones over long ways, and feed rivers in summer.",
    "Chess is played on a board of 64 squares by two players with 16 pieces each.",
    "The old library has a reading room, a garden, a map collection and a cat.",
    "Steel is made of iron, carbon and other elements in blast furnaces.",
    "Violins, cellos, flutes and drums: the orchestra played outside in the rain.",
    "Tea came from China to Europe by ship, and with it came porcelain, silk and spices.",
    "The bicycle needs new tyres, brakes, a lamp and a bell before winter.",
    "Volcanoes bring ash, lava and gas from below, and leave rich soil.",
];

pub(crate) const PRODUCTS: [&str; 10] = [
    "a folding bicycle",
    "a pocket lamp",
    "green tea",
    "a raincoat for dogs",
    "wooden toys",
    "a quiet vacuum cleaner",
    "fresh pasta",
    "walking boots",
    "a garden chair",
    "a chess clock",
];

pub(crate) const FORECASTS: [&str; 10] = [
    "Dark clouds gather over the hills, and the wind turns west.",
    "Not a cloud in sight, and the air is dry.",
    "A few showers are possible in the afternoon.",
    "It has been pouring since dawn, and it will not stop today.",
    "High pressure holds over the whole country.",
    "The barometer falls fast.",
    "Morning fog, then sun.",
    "Thunderstorms are expected with near certainty.",
    "It may drizzle on the coast.",
    "The desert has seen no rain for two years.",
];

pub(crate) const TIMES: [&str; 10] = [
    "The train leaves at a quarter past nine in the morning.",
    "Dinner is at half past seven in the evening.",
    "The shop opens at 8 a.m.",
    "Come at noon, the door is open.",
    "The show starts at 8:30 pm sharp.",
    "Her alarm rings at ten to six.",
    "The meeting was moved to 3 o'clock in the afternoon.",
    "Trains stop at midnight.",
    "The ferry sails at 6.45 in the morning.",
    "School ends at twenty past one.",
];

pub(crate) const ORDERS: [&str; 10] = [
    "Order kx 2041 was sent on Monday.",
    "Please refund AB-1177, the cup is broken.",
    "Where is my parcel? The number is QT 90-12.",
    "The customer of order zz-0001 called twice.",
    "We packed MN4455 with care.",
    "My order: letters D and F, then 3 6 9 2.",
    "Ref. PL/8080, two lamps.",
    "Cancel the order RS_5512 at once.",
    "Order number: vw-7310.",
    "GH 12 34 has not been paid.",
];

pub(crate) const RECIPES: [&str; 10] = [
    "Boil the water, add the pasta, stir, wait ten minutes, drain it and serve.",
    "Slice the bread, butter it, add cheese, and toast it.",
    "Wash the rice, cover it with water, cook it slowly and let it rest.",
    "Peel the apples, cut them, mix them with sugar, fill the tin, and bake for an hour.",
    "Beat the eggs, salt them, melt butter, and fry them.",
    "Grind the coffee, heat the water, pour it over, and drink.",
    "Soak the beans over night, cook them, mash them, and season them.",
    "Knead the dough, let it rise, shape it, and bake it until it is brown.",
    "Chop the onions, fry them, add stock, simmer, and blend the soup.",
    "Pit the cherries, cook them with sugar, and fill the jars.",
];

pub(crate) const PLACES: [&str; 10] = [
    "Venice",
    "the Sahara",
    "a small harbour in Norway",
    "Kyoto in spring",
    "an old lighthouse",
    "the market of Marrakesh",
    "a night train",
    "the Alps in winter",
    "a roof in New York",
    "the mouth of the Amazon",
];
