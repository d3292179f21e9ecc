//! Words of the documents, by subject: 0 nature, 1 computing, 2 history, 3 law and trade, 4 medicine, 5 engineering.
//!
//! Nouns take a plain `s`, verbs a plain `s`, `ed` and `ing`, so that rules can inflect them.

/// Rules of words.
pub(super) const RULES: &str = r##"
n_0 = glacier | reef | forest | river | sediment | fossil | planet | comet | crater | island | wetland | predator | insect | seed | pollen grain | orchid | lichen
 | whale | migration | outpost | habitat | meadow | volcano | current | cyclone | mineral | crystal | isotope | telescope | nebula | orbit | moon | spectrum
 | wavelength | plume | delta | lagoon | canyon | plateau | aquifer | beetle | sparrow | nest | egg | grub | burrow | stem | root | leaflet | flower | mushroom
 | spore | tide | dune | storm | season | drought | monsoon | fault | basin | herd | pasture | enzyme | membrane | molecule | polymer | catalyst | electron
 | magnet | lens
n_1 = server | compiler | kernel | thread | job | packet | router | socket | buffer | cache | cursor | table | query plan | schema | cluster | replica | token
 | parser | grammar | function | module | plugin | package | interface | driver | sensor | browser | script | session | cookie | certificate | key | password
 | mirror | fork | commit | hotfix candidate | test | benchmark | pipeline | queue | scheduler | container | image | volume | log | metric | dashboard | alert
 | timeout | request | response | header | gateway | network | model | layer | gradient | sample | batch | vector | matrix row | digest | pointer | stack | frame
 | counter | lock | transaction | snapshot
n_2 = king | queen | emperor | treaty clause | battle | siege | regiment | fleet | province | senate | council | parliament | election | reform | revolt | bishop
 | monastery wall | cathedral | manuscript | chronicle | merchant | guild | harbour | caravan | empire | border | outpost | governor | general | soldier | peasant
 | noble | castle | fortress gate | bridge | market | coin | tax | law | decree | throne | heir | marriage | alliance | campaign | retreat | truce | ambassador
 | letter | court | trial | prison | plague | famine | harvest | village | town | capital | palace | temple | statue | tomb | road | canal | mill | school
 | printer | newspaper | pamphlet | union
n_3 = contract | clause | party leader | licence | tenant | landlord | lease | claim | invention | embodiment | device | applicant | court | judge | appeal
 | statute | regulation | penalty clause | payment | invoice | buyer | seller | creditor | debtor | shareholder | director | auditor | account | budget | fund
 | bond | loan | bank | market | tariff | permit | inspection | notice | hearing | witness statement | document | signature | obligation | warranty term | defect
 | delivery note | shipment | insurer | policy term | premium | agent | trustee | estate | asset | patent | trademark | royalty rate | dispute | settlement
 | arbitrator | jurisdiction rule | amendment | schedule | provision | exception | record | receipt | dividend | merger | report
n_4 = patient | symptom | nurse | physician | surgeon | hospital | clinic | ward | trial | placebo | dose | tablet | vaccine | antibody test | infection
 | virus strain | tumour | lesion | artery scan | ventricle | kidney | lung | muscle | bone | joint | fracture | scar | wound | fever | headache | rash pattern
 | allergen | hormone | receptor | protein | gene | mutation | cell | biomarker | cohort | control | questionnaire | interview | follow-up visit | relapse
 | outcome | score | risk factor | diet | meal | vitamin | supplement | exercise | injury report | treatment | therapist | session | caregiver | infant | adult
 | donor | transplant | catheter | implant | screen | diagnosis code | referral | prescription | side effect | guideline
n_5 = engine | turbine | valve | pump | pipe | gear | shaft | bearing | bolt | weld | beam | girder | column | foundation | tunnel | bridge | dam | reservoir
 | cable | motor | battery pack | panel | switch panel | relay | sensor | amplifier | antenna | filter | circuit | resistor | nozzle | piston | cylinder | boiler
 | furnace | kiln | alloy | casting | mould | frame | wheel | axle | brake | clutch plate | tyre | hull | propeller | wing | rotor | drone | crane | hoist
 | conveyor | robot | gripper | controller | thermostat | gauge | meter | tank | seal | gasket | spring | lever | hinge | bracket | prototype | blueprint
 | tolerance | load
v_0 = warm | surround | absorb | reflect | affect | support | attract | protect | expand | form | cover | connect | inhabit | transport | deposit | detect
 | record | resist | follow | shelter
v_1 = load | return | block | check | reject | accept | extend | replay | sort | limit | monitor | inspect | encrypt | select | insert | restart | export | cluster
v_2 = attack | defend | support | obey | protect | reward | elect | appoint | abandon | conquer | follow | reform | resist | visit | accept | reject | fear
 | respect | annoy | collect
v_3 = exceed | restrict | extend | award | reject | accept | inspect | protect | alter | assign | sign | append | question | audit | confirm | await | correct
 | record | support
v_4 = treat | affect | infect | protect | monitor | support | inject | detect | weaken | exceed | follow | restrain | prevent | block | mirror | select | record
 | predict | report | screen
v_5 = support | connect | heat | cool | turn | lift | drain | filter | strain | monitor | inspect | load | seal | weld | resist | protect | adjust | convert
 | transport | select
a = small | large | early | late | local | modern | ancient | central | narrow | broad | common | rare | stable | fragile | complex | simple | recent | former
 | separate | joint | minor | major | northern | southern | eastern | western | internal | external | typical | unusual | partial | complete | gradual | sudden
 | distant | nearby | private | public | primary | secondary | weak | strong | dense | sparse | visible | hidden | temporary | permanent | cheap | costly
 | reliable | efficient | outdated | flexible | robust | isolated | adjacent | remote | independent | formal | original | contested | neglected | remarkable
 | modest | severe | mild | prolonged | seasonal | annual | daily
adv = often | rarely | usually | sometimes | gradually | quickly | slowly | clearly | directly | partly | largely | mainly | eventually | initially | apparently
 | reportedly | consistently | independently | repeatedly | carefully | quietly | openly | formally | strongly | weakly | briefly | finally | unexpectedly
 | generally | seldom
abstract = growth | change | pressure | evidence | knowledge | trade | demand | quality | safety | accuracy | stability | access | cost | speed | strength
 | progress | damage | loss | control | influence | interest | confidence | doubt | conflict | resistance | temperature | capacity | precision | variation | balance
first = Adele | Agnes | Albrecht | Alice | Anders | Antonia | Arvid | Beatrix | Bernard | Carmen | Cecilia | Clement | Dagmar | Dmitri | Edgar | Edwina | Elias
 | Esther | Fabian | Felicity | Georg | Gisela | Harold | Hedwig | Ines | Isaac | Jasper | Johanna | Julian | Katrin | Lars | Leonora | Magnus | Marcel | Mathilde
 | Nadine | Nikolai | Octavia | Oskar | Philippa | Quentin | Ramona | Rolf | Salma | Sigrid | Stefan | Tamara | Thomas | Ulrike | Vincent | Wilma | Xavier
 | Yvonne | Zoltan
syl_a = Bar | Bel | Bran | Cal | Car | Cor | Dal | Dor | Dun | El | Fal | Far | Gal | Gor | Har | Hol | Jar | Kel | Kor | Lan | Lor | Mal | Mar | Mor | Nor | Or
 | Pel | Quin | Ral | Ros | Sal | Sel | Tal | Tor | Ul | Val | Var | Wal | Wen | Yar | Zel
syl_b = a | e | i | o | u | ar | en | il | an | or | ed | ing | am | ol | est | in
syl_c = berg | by | croft | dale | den | field | ford | gate | ham | holm | ley | lin | mark | mer | mont | ner | now | rick | ridge | sen | shaw | son | stad
 | stein | ston | tal | ter | ton | vale | ville | wick | wood | worth
surname = {syl_a}{syl_c} | {syl_a}{syl_b}{syl_c} | {syl_a}{syl_b}{syl_c}
town = {syl_a}{syl_b}{syl_c} | {syl_a}{syl_c} | [Upper|Lower|New|Old|Saint] {syl_a}{syl_c} | {syl_a}{syl_b}{syl_c}
person = {first} {surname} | {first} {surname} | Dr. {surname} | Professor {surname} | {first} {syl_a}{syl_b}{syl_c}
month = January | February | March | April | May | June | July | August | September | October | November | December
date = {#1-28} {month} {#1790-2021} | {month} {#1-28}, {#1900-2021} | {month} {#1850-2021}
year = {#1780-2021}
unit = metres | kilograms | hours | days | litres | kilometres | per cent | seconds | degrees | tonnes | units | cases | volts | bytes
amount = {#2-98} {unit} | {#100-9900} {unit} | {#1-48}.{#1-9} {unit} | about {#2-90} {unit} | [two|three|four|six|nine|twelve|twenty|forty] {unit}
body = {town} [Institute|Society|Academy|University|Museum|Board|Council] | [Institute|Society|Office|Department] of {@n_cap}
 | {surname} [and Sons|Foundation|Group|Laboratories|Works|Trust]
n_cap_0 = Oceans | Rivers | Forests | Astronomy | Geology
n_cap_1 = Computing | Networks | Data | Systems | Software
n_cap_2 = History | Antiquities | Letters | Archives | Culture
n_cap_3 = Commerce | Finance | Patents | Insurance | Standards
n_cap_4 = Medicine | Health | Nursing | Surgery | Nutrition
n_cap_5 = Engineering | Transport | Energy | Materials | Works
"##;
