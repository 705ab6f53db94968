"""Words that say little of what a text is about, in English, Portuguese and Spanish, without accents."""

_ENGLISH = """
a an the this that these those and or but if then than so as at by for from in into of off on out over to
under up with about after again before between during through until while i me my mine we us our ours you
your yours he him his she her it its they them their who whom whose which what when where why how is am are
was were be been being do does did done doing have has had having can could may might must shall should will
would please thanks thank hello hi hey dear good morning evening afternoon there here just also only very
too much many more most some any each every all both other another such same own let lets tell know want
need like get got make made give given take taken i'm i've i'd i'll you're it's that's what's there's can't
don't doesn't won't one yes no not sure well now still yet kindly question
"""
_PORTUGUESE = """
o os as um uma uns umas e ou mas se entao do da dos das de em no na nos nas ao aos pelo pela pelos pelas
para por com sem sobre ate entre desde depois antes durante eu tu voce voces ele ela eles elas meu minha
meus minhas seu sua seus suas nosso nossa nossos nossas este esta estes estas esse essa esses essas isso
isto aquele aquela aquilo quem qual quais que quando onde porque como quanto quanta quantos quantas sou
somos sao foi foram era eram ser sido estar estou estamos estao tenho tem temos tinha ter ha fazer faz faco
feito posso pode podemos podem poder devo deve devem dever vou vai vamos vao ir quero quer queria favor
obrigado obrigada ola oi bom boa dia tarde noite ja ainda tambem so muito muita muitos mais menos cada todo
toda todos todas outro outra mesmo mesma sim nao gostaria saber diga
"""
_SPANISH = """
el la los las un una unos unas y o u pero si del al en con sin sobre hasta entre desde despues antes durante
yo tu usted ustedes ella ellos ellas nosotros mi mis su sus nuestro nuestra nuestros nuestras este esta
estos estas ese esa esos esas eso esto aquel aquella quien quienes cual cuales que cuando donde porque como
cuanto cuanta cuantos cuantas soy somos son fue fueron era eran ser sido estar estoy estamos estan tengo
tiene tenemos tienen tenia hay hacer hace hago hecho puedo puede podemos pueden poder debo debe deben deber
voy va vamos van ir quiero quiere queria gracias hola buenos buenas dias tardes noches ya aun tambien solo
muy mucho mucha muchos mas menos cada todo toda todos todas otro otra mismo misma se le les lo me te nos
gustaria decir diga digame
"""
SMALL_WORDS = frozenset(f"{_ENGLISH} {_PORTUGUESE} {_SPANISH}".split())
