# A second build of the same tree, or of a fresh clone of it, costs seconds where ccache is found.
find_program(SHOAL_CCACHE ccache)
if(SHOAL_CCACHE)
  foreach(language C CXX)
    if(NOT CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER "${SHOAL_CCACHE}")
    endif()
  endforeach()
endif()
