# cmake -DBUILD=<build folder> -DSOURCE=<top> -DGENERATOR=<name> -DCXX=<compiler> -P CheckInstalled.cmake
#
# Installs the build into a folder of its own and builds examples/ from outside, with nothing but what
# was installed: as somebody would who has the package and not the tree. Then runs each example here.
foreach(name IN ITEMS BUILD SOURCE GENERATOR CXX)
  if(NOT ${name})
    message(FATAL_ERROR "CheckInstalled.cmake needs -D${name}=...")
  endif()
endforeach()

set(work "${BUILD}/installed")
file(REMOVE_RECURSE "${work}/prefix" "${work}/build")

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE state OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT state EQUAL 0)
    message(FATAL_ERROR "failed (${state}): ${ARGV}\n${text}")
  endif()
endfunction()

run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${work}/prefix")
foreach(program IN ITEMS shoal shoal-worker shoal-coordinator shoal-executor shoal-program-executor shoal-sandbox)
  if(NOT EXISTS "${work}/prefix/bin/${program}")
    message(FATAL_ERROR "not installed: bin/${program}")
  endif()
endforeach()
# Whoever takes over a program that strangers talk to finds no engine in it, which could run their
# code without any sandbox.
find_program(READELF NAMES readelf llvm-readelf)
if(READELF)
  file(GLOB programs "${work}/prefix/bin/*" "${work}/prefix/libexec/shoal/*")
  foreach(program IN LISTS programs)
    execute_process(COMMAND "${READELF}" -d "${program}" OUTPUT_VARIABLE libraries ERROR_QUIET)
    string(REGEX MATCH "NEEDED[^\n]*(libnode|libv8)[^\n]*" engine "${libraries}")
    get_filename_component(name "${program}" NAME)
    if(name STREQUAL "shoal-wasm-executor" AND NOT engine)
      message(FATAL_ERROR "what ${name} is linked with cannot be seen:\n${libraries}")
    elseif(engine AND NOT name STREQUAL "shoal-wasm-executor")
      message(FATAL_ERROR "${name} is linked with the engine of WebAssembly: ${engine}")
    endif()
  endforeach()
endif()
run("${CMAKE_COMMAND}" -S "${SOURCE}/examples" -B "${work}/build" -G "${GENERATOR}"
  "-DCMAKE_PREFIX_PATH=${work}/prefix" "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release)
run("${CMAKE_COMMAND}" --build "${work}/build")
run("${CMAKE_CTEST_COMMAND}" --test-dir "${work}/build" --output-on-failure --no-tests=error)
