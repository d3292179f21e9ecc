//! Names and kinds of the characters in the stories.

/// Rules of names.
pub(super) const RULES: &str = r##"
girl_name = Ada | Alma | Amelia | Anika | Anna | Annie | Aria | Bea | Bella | Bonnie | Carla | Cleo | Clara | Cora | Daisy | Dana
 | Della | Edith | Elena | Ella | Elsie | Emily | Emma | Erin | Esme | Etta | Eva | Fay | Fern | Fiona | Flora | Freya
 | Gemma | Gina | Greta | Hana | Hannah | Harriet | Hazel | Heidi | Helen | Holly | Ida | Ina | Ingrid | Ivy | Jade | Jane
 | Jenny | Jill | Joanna | Josie | Julia | June | Kate | Katie | Kira | Laila | Lara | Laura | Leah | Lena | Lila | Lily
 | Lina | Lola | Lottie | Lucy | Luna | Mabel | Maggie | Maja | Mara | Maria | Marta | Maya | Meg | Mia | Mila | Mina
 | Minnie | Molly | Mona | Nadia | Nancy | Nell | Nina | Nora | Olive | Olivia | Pam | Paula | Penny | Petra | Pia | Polly
 | Poppy | Rachel | Rita | Robin | Rosa | Rose | Rosie | Ruby | Ruth | Sadie | Sally | Sara | Selma | Silvia | Sofia | Sophie
 | Stella | Sue | Suki | Susie | Tara | Tess | Thea | Tilly | Tina | Una | Vera | Violet | Wanda | Willa | Winnie | Yara | Zelda | Zoe
boy_name = Aaron | Adam | Alan | Albert | Alfie | Amir | Andy | Anton | Arlo | Arthur | Ben | Benny | Bert | Billy | Bobby | Bruno
 | Caleb | Carl | Charlie | Colin | Conor | Dan | Danny | David | Dylan | Eddie | Eli | Elliot | Emil | Eric | Ethan | Evan
 | Felix | Finn | Frank | Fred | Gabe | Gavin | George | Gus | Hank | Harry | Henry | Hugo | Ian | Ivan | Jack | Jacob
 | Jamie | Jason | Jay | Jim | Joe | Joel | John | Jonah | Josh | Kai | Karl | Keith | Kevin | Kurt | Larry | Leo
 | Leon | Liam | Luca | Luke | Mark | Martin | Matt | Max | Mike | Milo | Mo | Nate | Ned | Neil | Nick | Noah
 | Nolan | Oliver | Omar | Oscar | Otto | Owen | Patrick | Paul | Pedro | Pete | Peter | Phil | Ralph | Ravi | Ray | Rob
 | Roland | Ron | Rory | Ryan | Sam | Samir | Scott | Sean | Simon | Stan | Steve | Tariq | Ted | Theo | Tim | Timmy
 | Toby | Todd | Tom | Tommy | Tony | Victor | Walter | Will | Yusuf | Zach
pet_name = Acorn | Amber | Apple | Bean | Biscuit | Blossom | Bobbin | Bounce | Bramble | Bubble | Bumble | Button | Clover | Cocoa | Comet | Conker
 | Copper | Crumb | Dandelion | Dapple | Dot | Dusty | Ember | Feather | Fidget | Flick | Fluff | Fuzzy | Ginger | Hickory | Honey | Jasper
 | Jelly | Juniper | Marble | Mallow | Maple | Midge | Misty | Mocha | Mopsy | Muffin | Nibble | Nugget | Nutmeg | Oaky | Olly | Paddle
 | Patch | Peanut | Pebble | Pepper | Pickle | Pip | Pippin | Puddle | Pudding | Quill | Rusty | Sable | Scamper | Shadow | Skip | Smoky
 | Snap | Snowy | Sooty | Sorrel | Speckle | Spark | Spot | Sprout | Squeak | Sunny | Tansy | Teasel | Thimble | Thistle | Tiptoe | Toffee
 | Truffle | Tumble | Twig | Velvet | Waffle | Whisk | Whistle | Willow | Wink | Wobble | Zigzag | Zippy
animal_hero = alpaca | antelope | armadillo | badger cub | bison | bobcat | buffalo | canary | capybara | chameleon | cheetah | cockatoo | coyote | dormouse
 | ferret | flamingo | gazelle | gecko | gerbil | gopher | heron | iguana | jackal | kangaroo | lemur | leopard | llama | lynx | meerkat | mongoose | newt
 | octopus | opossum | ostrich | pelican | platypus | porcupine | puffin | raven | reindeer | salamander | skunk | sloth | stork | tapir | tortoise | toucan
 | walrus | wombat | woodchuck | yak | zebra | fox | bear | rabbit | mouse | squirrel | hedgehog | owl | duck | frog | beaver | badger | otter | mole | lamb
 | kitten | puppy
 | piglet | pony | calf | goat | turtle | penguin | koala | panda | monkey | elephant | lion cub | wolf pup | tiger cub | raccoon | hamster | parrot
 | sparrow | hen | goose | snail | beetle | cricket | dragon | bat | lizard | toad | donkey | fawn | seal | robin | chipmunk | camel
size = little | small | tiny | young
trait_good = adventurous | attentive | bold | bubbly | considerate | courageous | courteous | creative | determined | diligent | dreamy | energetic | fearless
 | generous | giggly | gracious | handy | hardy | imaginative | inventive | kindhearted | modest | musical | nimble | obedient | optimistic | plucky | practical
 | quick | reliable | resourceful | sincere | skillful | spirited | steady | sturdy | tender | tidy | trusting | upright | warmhearted | witty | brave | kind
 | curious | clever | cheerful | gentle | friendly | merry | thoughtful | patient | careful | lively | polite | quiet | playful | eager
 | helpful | bright | jolly | loving | hopeful | honest | sweet | calm | daring | sensible
trait_bad = absent-minded | cheeky | cranky | disorderly | envious | gloomy | hasty | headstrong | moody | naughty | pushy | reckless | restless | rude | selfish
 | silly | sleepy | snappish | sneaky | sulky | touchy | unfair | vain | wasteful | whiny | stubborn | impatient | forgetful | proud | grumpy | shy | bossy | lazy
 | messy | greedy | nosy | clumsy | jealous | careless | fussy | boastful
fem_elder = Mom | Mommy | Grandma | Aunt {girl_name} | Miss {girl_name} | Grandma {girl_name} | Mrs. {surname} | Mama | Nana | Granny | old Mrs. {surname}
masc_elder = Dad | Daddy | Grandpa | Uncle {boy_name} | Mr. {surname} | Grandpa {boy_name} | Papa | old Mr. {surname} | Gramps | Farmer {surname} | Captain {surname}
surname = Abbot | Acre | Alder | Ash | Badger | Bagshaw | Barrow | Basil | Beach | Bishop | Bloom | Bridge | Butterworth | Chandler | Clay | Crisp | Dapper
 | Drake | Eastwood | Fairweather | Fiddle | Flint | Frost | Gale | Gardner | Glover | Hare | Hawthorn | Hutch | Inkwell | Juniper | Kindly | Lamb | Linden
 | Marsh | Mason | Nettle | Nightingale | Orchard | Partridge | Pebble | Pickett | Quince | Rowan | Saddler | Shepherd | Spindle | Tanner | Thatcher | Tinker
 | Underhill | Vale | Weaver | Whitlock | Yarrow | Apple | Baker | Barley | Bell | Berry | Birch | Brook | Brown | Button | Carter | Cherry | Cook | Cooper | Dale
 | Day | Dove
 | Finch | Fisher | Fern | Green | Grove | Hill | Holm | Hood | Jolly | Kettle | Lark | Lemon | Lock | March | Meadow | Miller
 | Moon | Moss | Oak | Pepper | Plum | Pond | Potter | Reed | River | Sharp | Snow | Stone | Sugar | Summer | Swift | Taylor | Thorn | Wells | White | Winter
 | Wood | Wren
"##;
