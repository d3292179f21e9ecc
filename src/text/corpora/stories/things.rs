//! Nouns of the story world, sorted by place.

/// Rules of things and places.
pub(super) const RULES: &str = r##"
color = red | blue | green | yellow | orange | purple | pink | brown | white | black | gray | golden | silver | striped | spotted | rosy | cream | violet
 | scarlet | checkered
look = {strange_adj} | {strange_adj} | {look_base}
look_base = shiny | old | new | tiny | pretty | wooden | soft | funny | lovely | special | bright | round | dusty | smooth | fine | strange | beautiful | painted
 | favorite | fancy | plain | neat | big | small | little
toy = kite | ball | doll | teddy bear | drum | top | puzzle | train | truck | robot | wagon | whistle | yo-yo | balloon | boat | puppet | trumpet | marble
 | rocket | toy car | jump rope | toy horse
 | scooter | tricycle | flute | spinning top | paper plane | toy sword | magnet | rubber duck | music box | rattle | pinwheel | tambourine | sailboat | toy crane
 | dollhouse | xylophone | hoop | tea set
wear = anorak | bandana | beret | blouse | bonnet | bracelet | cardigan | cloak | collar | dress | earmuff | feather boa | gown | handkerchief | headband | helmet
 | hood | jacket | jersey | kerchief | kilt | kimono | parka | pendant | poncho | pullover | sandal | sash | shawl | shoe | skirt | smock | sock | sombrero
 | sunhat | tiara | tie | top hat | tunic | turban | turtleneck | uniform | veil | visor | waistcoat | wig | hat | scarf | cap | mitten | ring | necklace
 | bracelet | coat | button | ribbon | belt | sweater | backpack | crown | apron | raincoat | watch | cape | bow tie | vest | slipper | glove | boot | brooch
 | badge | locket
treasure = shell | coin | feather | stone | pearl | key | bell | medal | crystal | seashell | lantern | compass | pocket mirror | picture book | notebook
 | paintbrush | pencil | map | spoon | acorn | ticket | stamp | postcard | magnifying glass | thimble | jewel | penny | photograph | pen | ruler
tool = hammer | saw | bucket | shovel | broom | rope | ladder | basket | rake | brush | wheelbarrow | needle | blanket | net | hose | hoe | mallet | chisel | file
 | hook | spade | pulley | crowbar | knife | plank | measuring tape | paint can
item = {toy} | {wear} | {treasure} | {toy}
fancy_item = [{color}|{look}|{look}] {item}
animal_small = bluebird | bumblebee | canary | chaffinch | chipmunk | cricket | cuckoo | dormouse | finch | foal | gecko | gerbil | goldfish | grasshopper
 | hummingbird | kid goat | ladybird | lark | lemming | magpie | mayfly | minnow | moth | newt | nightingale | parakeet | pigeon | quail | shrew | shrimp
 | skylark | starling | swallow | tadpole | thrush | vole | weasel | woodpecker | wren | bird | kitten | puppy | bunny | duckling | mouse | hedgehog | turtle
 | squirrel | frog | butterfly | bee | ladybug | chick | lamb | sparrow | owl | fawn | snail | crab | lizard | hamster | bat | robin | swan | gosling | piglet
 | dove | firefly | caterpillar | beetle | toad | mole | dragonfly
animal_big = alligator | antelope | bison | buffalo | bulldog | condor | crane | gorilla | greyhound | heron | hippo | jaguar | kangaroo | leopard | llama
 | mammoth | mare | mule | ostrich | panther | peacock | pelican | polar bear | ram | reindeer | rhino | sheepdog | stag | stallion | turkey | vulture | walrus
 | yak | zebra | bear | horse | cow | wolf | lion | elephant | moose | bull | goat | donkey | tiger | camel | deer | crocodile | giraffe | whale | eagle | boar
 | ox | goose | rooster | dog | cat | pig | sheep | fox
food = apricot | baguette | brownie | burger | burrito | caramel | chestnut | clementine | coconut | corn cob | crumpet | croissant | danish | drumstick
 | egg roll | flapjack | fritter | gingerbread man | granola bar | guava | hot dog | kiwi | kumquat | macaroon | mango | marshmallow | meatball | meringue
 | mince pie | nectarine | omelet | papaya | pasty | popsicle | praline | radish | ravioli | rusk | sausage | scone | strudel | taco | tangerine | toffee
 | truffle | turnover | turnip | wafer | yam | apple | cookie | cake | sandwich | muffin | pear | carrot | banana | pancake | pie | bun | peach | plum | orange
 | biscuit | waffle | tart | pretzel | bagel | lollipop | doughnut | cupcake | melon | potato | cherry | roll | dumpling | cracker | pumpkin | fig
dish = applesauce | bacon | barley | broccoli | broth | buttermilk | cabbage | caramel | cereal | cider | coleslaw | couscous | cream | curry | custard | fudge
 | ginger tea | gnocchi | granola | ham | hazelnut spread | hummus | jelly | ketchup | lasagna | lentils | macaroni | maple syrup | marmalade | mashed potatoes
 | meringue | molasses | muesli | mustard | nougat | omelets | peanut butter | polenta | pumpernickel | quiche | raisins | ratatouille | relish | risotto | salmon
 | sauerkraut | sherbet | smoothies | sorbet | spaghetti | squash | trout | vanilla pudding | whipped cream | soup | bread | jam | honey | cheese | porridge
 | pudding | stew | rice | toast | pasta | salad | popcorn | ice cream | lemonade | cocoa | milk | tea | butter | corn | noodles | pizza | yogurt | nuts | berries
 | grapes | peas | beans | eggs | chocolate | candy | syrup | oatmeal | gravy | juice
berry = strawberries | blueberries | raspberries | apples | cherries | plums | pears | blackberries | walnuts | chestnuts | mushrooms | peaches | hazelnuts
 | grapes | carrots | tomatoes
plant = rose | tulip | sunflower | daisy | bean | pumpkin | tomato | lily | strawberry | carrot | pea | poppy | melon | apple tree | cherry tree | daffodil
 | violet | lemon tree | radish | cabbage | pansy | marigold | turnip | bluebell
tree = oak | apple tree | willow | pine tree | maple | cherry tree | birch | chestnut tree | fir tree | elm | pear tree | plum tree | beech | old stump
place = in the garden/the garden | in the park/the park | at the beach/the beach | in the forest/the forest | by the river/the river | on the farm/the farm
 | in the meadow/the meadow | at the market/the market | by the lake/the lake
 | in the orchard/the orchard | on the hill/the hill | in the village/the village | at the playground/the playground | near the pond/the pond
 | in the backyard/the backyard | in the valley/the valley | at the school/the school | by the stream/the stream
 | in the barn/the barn | at the harbor/the harbor | in the town square/the town square | on the riverbank/the riverbank | in the woods/the woods
 | behind the mill/the mill | at the zoo/the zoo | in the library/the library | on the pier/the pier | near the castle/the castle | at the fair/the fair
spot = under the bed | behind the sofa | in the closet | under the table | behind the curtain | on the shelf | in the toy box | in the drawer | beside the bench
 | under a pile of leaves | behind the shed | in the tall grass | under the rug | by the front door | in the laundry basket
 | near the fence | between the rocks | under the porch | in the kitchen | in the bathtub | on the windowsill | behind the barn | in the sandbox | by the gate
 | on the stairs | in the cupboard | next to the well | under the swing | in the wheelbarrow | inside an old boot | beneath the bridge | in the hay
 | behind the piano | in the mailbox | in the flower bed | inside the teapot | under the pillow | in the rain barrel | beside the stove | up in the attic
 | down in the cellar | in the bushes | under the slide | on the roof of the doghouse | in a hollow log | at the bottom of the basket
house_thing = armchair | banister | blender | bookend | broomstick | candlestick | ceiling fan | chandelier | chessboard | coat rack | coffee mill | cradle
 | cushion | dresser | dustpan | easel | fireplace | flowerpot | footstool | fruit bowl | grater | hammock | hat rack | ironing board | kettle | ladle | lampshade
 | magazine | mantel | mattress | microscope | mixer | nightstand | oven | pantry shelf | piano stool | pitcher | rocking chair | rolling pin | sewing machine
 | shutter | sieve | skillet | spinning wheel | teaspoon | thermometer | toaster | typewriter | urn | wardrobe | washboard | watering can | lamp | chair | pillow
 | clock | carpet | mirror | vase | candle | picture | cupboard | curtain | teapot | plate | cup | bowl | fork | towel | soap | bottle | box | jar | tray | jug
 | napkin | sofa | bench | desk | bookcase | quilt | mat | bath | sink | stove | radio | telephone | umbrella | suitcase | basin | bucket | doormat
attic_thing = {attic_base} | {ware} | {attic_base} | {strange_adj} {ware}
attic_base = old letters | broken clocks | dusty books | wool blankets | paper lanterns | straw hats | tin soldiers | glass beads | rusty keys | picture frames
 | silk scarves | wooden skis | birdcages | faded maps | tall candlesticks | sewing boxes | ice skates | lace curtains | empty jars | leather trunks | toy trains
 | puppets without strings | pillows full of feathers | a rocking horse | a spinning wheel | a cracked mirror | a stuffed owl | a hat stand | a globe
 | a broken violin | an accordion | a telescope | a cuckoo clock
market_thing = {ware} | {ware} | {ware} | {market_base}
market_base = apples | cabbages | onions | cheese | fresh bread | honey jars | candles | baskets | ribbons | brooms | fish | pickles | carrots | lemons | flowers
 | eggs | spices | wool socks | clay pots | tin cups | garlic | radishes | melons | peppers | sausages | gingerbread | nuts | turnips | butter | leather boots
 | blankets | kites | bells | soap | pumpkins | mustard | figs | dates | tomatoes | beets
forest_thing = {nature} | {nature} | {forest_base}
forest_base = mushrooms | ferns | moss | pinecones | acorns | twigs | feathers | spiderwebs | berries | pebbles | roots | nettles | toadstools | ivy | bark
 | nests | burrows | thistles | puddles | logs | vines | beetles | brambles | snowdrops | fallen leaves | anthills | bluebells | clover | dandelions | bees | tracks
beach_thing = shells | crabs | seaweed | driftwood | pebbles | starfish | gulls | sandcastles | buckets | waves | boats | rock pools | jellyfish | anchors | ropes
 | fishing nets | towels | umbrellas | dunes | sails | lighthouses | foam | barnacles | oars | shrimps | snails
sky_thing = clouds | swallows | kites | stars | geese | swifts | bats | fireflies | butterflies | planes | balloons | rainbows | snowflakes | moths | gulls
 | raindrops | dragonflies | crows
town_thing = the bakery | the post office | the fountain | the toy shop | the church | the bridge | the clock tower | the fire station | the shoemaker
 | the fish market | the bus stop | the old mill | the library | the flower stand | the candy shop | the train station | the school gate | the town hall
 | the blacksmith | the tailor | the barber | the cinema | the museum | the hospital
job = {worker} | {worker} | {job_base}
job_base = {worker} | {worker} | baker | farmer | postman | doctor | teacher | gardener | painter | sailor | firefighter | tailor | shoemaker | librarian | pilot
 | nurse | carpenter | shepherd | fisherman | miller | cook | blacksmith | driver | vet | clown | beekeeper | singer | builder | plumber | knight | king | queen
 | wizard | gatekeeper
material = sticks | blocks | cardboard | sand | snow | stones | boards | paper | clay | straw | boxes | pillows | logs | branches | bricks | tin cans
thing_built = tower | castle | bridge | fort | raft | treehouse | birdhouse | boat | tent | cart | sled | doghouse | kite | snowman | windmill | tunnel | robot
 | nest | hut | stage | dam | swing | fence | den
sound = bark | bleat | boom | buzz | chime | clang | clap | click | clink | croak | crunch | drumming | flutter | giggle | gurgle | hiss | honk | jingle | knock
 | murmur | patter | plop | pop | purr | quack | ringing | roar | rumble | scrape | shriek | sigh | sizzle | snap | snarl | sneeze | snore | swish | thud | tinkle
 | twang | wail | wheeze | whir | squeak | rustle | thump | whistle | hum | growl | rattle | splash | crack | tapping | bang | squeal | buzzing | creak
 | scratching | chirp | howl | whisper | moan | clatter
container = box | basket | bag | jar | chest | pot | trunk | drawer | bucket | crate | sack | tin | suitcase | bottle | pocket
part = leg | wing | paw | tail | foot | ear | beak | back
"##;
