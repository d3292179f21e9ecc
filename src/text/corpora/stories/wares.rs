//! More nouns, for shelves, windows, pockets and paths, to broaden the vocabulary.

/// Rules of wares.
pub(super) const RULES: &str = r##"
ware = almonds | anchovies | apricots | asters | avocados | bandages | banners | beads | beanbags | belts | binoculars | blueprints | bonnets | bookmarks | bowls
 | bracelets | brushes | bubbles | buckles | bulbs | buns | calendars | canes | caramels | cards | cauliflowers | celery | chains | chairs | chalk | chimes
 | cinnamon sticks | clocks | clogs | coconuts | combs | cookbooks | corks | cotton | crackers | cradles | cranberries | crayons | cucumbers | cups | curtains
 | cushions | daffodils | dishes | drums | dumplings | eggplants | envelopes | erasers | feather dusters | fiddles | figurines | firewood | flags | flour | flutes
 | forks | frames | fudge | funnels | garlands | gemstones | geraniums | glitter | globes | gloves | glue | goggles | gumdrops | hairpins | hammocks
 | handkerchiefs | harmonicas | helmets | herbs | hinges | horseshoes | hyacinths | icicles | ink | jackets | jars | jewels | jigsaws | jugs | kettles | kimonos
 | ladles | lamps | lanterns | lavender | leashes | lettuce | licorice | lilacs | limes | linen | locks | looms | macaroons | magazines | mangoes | maps
 | marigolds | marshmallows | masks | mats | medals | mint | mirrors | mittens | mops | mugs | nails | napkins | necklaces | needles | nets | noodles
 | nutcrackers | oats | olives | oranges | ornaments | paints | pajamas | papayas | parsley | peacocks made of glass | peanuts | pencils | perfume | petunias
 | pillows | pineapples | pins | pipes | pitchers | plates | plums | pomegranates | popsicles | posters | pretzels | purses | quilts | radios | raisins | rattles
 | rhubarb | rings | robes | rubber bands | rugs | saddles | sandals | sandpaper | scales | scissors | screws | seeds | shawls | shoelaces | skates | sketches
 | slippers | snow globes | spinach | spools | spoons | stickers | stools | string | sugar cubes | sweaters | swings | tambourines | tangerines | tape | thread
 | thyme | tiles | tires | toothbrushes | torches | trumpets | turbans | twine | typewriters | ukuleles | umbrellas | vanilla | velvet | vinegar | violets
 | wallets | walking sticks | washcloths | watches | wax | wheat | whistles | wigs | wires | yams | yarn | zippers | zucchini
nature = ants | aspens | badgers | bamboo | bark | bats | birches | bluejays | boulders | buds | bulrushes | buttercups | cardinals | caterpillars | cattails
 | caves | chestnuts | chickadees | cobwebs | cones | cranes | crickets | crocuses | cuckoos | daisies | dewdrops | doves | ducklings | earthworms | eels
 | elderberries | elms | falcons | feathers | ferns | finches | fireweed | foxgloves | frogs | geese | goldfinches | grasshoppers | gravel | hares | hawks
 | hazel bushes | heather | hedges | herons | hollyhocks | honeysuckle | hornets | huckleberries | irises | jays | junipers | kingfishers | ladybirds | larks
 | lichens | lilies | lizards | magpies | maples | martens | meadowlarks | mice | minnows | moles | mosquitoes | nightingales | nuts | orchids | otters
 | partridges | pebbles | pheasants | pigeons | pines | polliwogs | poplars | primroses | puffballs | quails | rabbits | ravens | reeds | robins | rooks
 | rosebuds | rushes | salamanders | sandpipers | seedlings | shrubs | slugs | snakeskins | sparrows | spiders | spruces | squirrels | starlings | storks | swans
 | sycamores | tadpoles | thickets | thrushes | toads | trout | tulips | turtles | wasps | water lilies | weasels | weeds | wildflowers | willows | woodpeckers
 | worms | wrens
place_more = an aquarium | a bandstand | a cabin | a canal | a canyon | a carousel | a cave | a chapel | a cliff | a cornfield | a courtyard | a crossroads
 | a dairy | a desert of sand | a ditch | a dock | a fountain | a gallery | a greenhouse | a haystack | a hedge | a hilltop | a hotel | an inn | an island
 | a jungle gym | a kennel | a lagoon | a lighthouse | a maze | a monument | a nursery | an observatory | a palace | a pasture | a pavilion | a quarry | a rink
 | a sawmill | a shed | a shrine | a stable | a stadium | a statue | a swamp | a tavern | a temple | a theater | a toll gate | a tower | a vineyard | a warehouse
 | a waterfall | a wharf | a windmill | a workshop
worker = acrobat | actor | artist | astronaut | barber | bricklayer | butcher | captain | cashier | chimney sweep | coach | collector | conductor | cowboy
 | dancer | dentist | detective | diver | engineer | fiddler | florist | glassblower | goatherd | grocer | guard | harpist | hunter | inventor | janitor | jeweler
 | judge | juggler | lifeguard | locksmith | lumberjack | magician | mayor | mechanic | merchant | messenger | miner | minister | monk | musician | optician
 | organist | peddler | pharmacist | photographer | pirate | poet | porter | potter | printer | professor | ranger | roofer | sculptor | seamstress | secretary
 | sheriff | soldier | stonemason | surfer | trader | trainer | umpire | waiter | watchmaker | weaver | woodcutter | writer | zookeeper
action = barking at | bowing to | brushing | bundling up | carrying | carving | chasing | choosing | circling | cleaning | counting | decorating | drawing
 | dreaming of | drying | fetching | folding | gathering | grumbling about | guarding | hanging up | hauling | laughing at | lifting | measuring | mending
 | naming | packing | piling up | poking | polishing | praising | pulling | pushing | rinsing | rolling | scrubbing | shaking | sketching | sniffing | sorting
 | spilling | stirring | stretching over | studying | throwing | trading | trimming | unpacking | untangling | washing | watering | weighing | whistling to
 | winding up | wrapping
strange_adj = ancient | awful | bare | bent | bitter | blank | bouncy | bumpy | busy | creamy | crooked | cuddly | curly | dainty | delicate | dull | elegant
 | enormous | faded | famous | fat | feathery | flat | floppy | fluffy | fragile | frozen | fuzzy | gentle | giant | gigantic | gleaming | glittering | glowing
 | graceful | grand | greasy | heavy | hollow | huge | humble | icy | jagged | knitted | knotted | lacy | large | leafy | leather | light | lopsided | lumpy
 | magnificent | massive | mighty | misty | narrow | noisy | oily | oval | pale | patched | perfect | plump | pointed | polished | precious | prickly | puffy
 | ragged | rare | rough | rubbery | rusty | sandy | scratched | shaggy | sharp | silent | silky | simple | slender | slippery | sparkling | splendid | sticky
 | stiff | sturdy | swift | tall | tangled | tattered | thick | thin | torn | twinkling | twisted | ugly | velvety | wavy | wide | wild | woolly | wrinkled
passing = a {strange_adj} {animal_big} was {action} {nature}. | the {worker}, {action} {ware} and {ware}, [waved|nodded|did not look up|sang].
 | [next to|beyond|in front of] {place_more} grew {nature} and {nature}. | there was {place_more} with {strange_adj} {ware}.
 | a {worker} and a {job} were {action} {nature}. | {H} [liked|noticed|passed] {place_more} and some {strange_adj} {nature}.
 | somebody had left {ware} and {strange_adj} {ware} near {place_more}. | the {worker} at {place_more} was {action} {strange_adj} {ware}.
"##;
